import { expect, it } from "vitest";
import { Comeback } from "../src/video/comeback";

it("tries again after half a minute, and waits twice as long each time that it was too early", () => {
  const comeback = new Comeback();
  expect(comeback.due(0)).toBe(false);
  let now = 0;
  for (const wait of [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]) {
    comeback.fell(now);
    expect(comeback.due(now + wait - 1)).toBe(false);
    now += wait;
    expect(comeback.due(now)).toBe(true);
    expect(comeback.due(now)).toBe(false);
    expect(comeback.trying).toBe(true);
  }
});

it("tries at once when the camera comes back, and only where it fell back", () => {
  const comeback = new Comeback();
  comeback.cameraBack(5);
  expect(comeback.due(10)).toBe(false);
  comeback.fell(10);
  comeback.cameraBack(20);
  expect(comeback.due(20)).toBe(true);
});

it("forgets its patience once it went well for two minutes", () => {
  const comeback = new Comeback();
  comeback.fell(0);
  expect(comeback.due(30_000)).toBe(true);
  expect(comeback.due(150_000)).toBe(false);
  expect(comeback.trying).toBe(true);
  expect(comeback.due(150_001)).toBe(false);
  expect(comeback.trying).toBe(false);
  comeback.fell(200_000);
  expect(comeback.due(230_000)).toBe(true);
});
