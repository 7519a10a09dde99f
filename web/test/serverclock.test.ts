import { expect, it } from "vitest";
import { ServerClock } from "../src/video/serverclock";

it("narrows the centre's clock from whole seconds", () => {
  const clock = new ServerClock();
  const offset = 7_654_321;
  for (let i = 0; i < 40; i += 1) {
    const sent = 1_795_312_800_000 + i * 1037;
    clock.observe(new Date(Math.floor((sent + 10 + offset) / 1000) * 1000).toUTCString(), sent, sent + 20);
  }
  expect(Math.abs(clock.offsetMs - offset)).toBeLessThan(60);
});

it("starts again when a clock was set", () => {
  const clock = new ServerClock();
  clock.observe(new Date(1_000_000).toUTCString(), 1_000_400, 1_000_420);
  clock.observe(new Date(9_000_000).toUTCString(), 1_001_400, 1_001_420);
  expect(Math.abs(clock.offsetMs - 7_999_000)).toBeLessThan(700);
  clock.observe("nonsense", 0, 0);
  clock.observe(null, 0, 0);
});
