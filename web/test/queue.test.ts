import { expect, it } from "vitest";
import { marks, minutes, onAxis, percent, said } from "../src/queue/figures";
import type { Figures } from "../src/queue/model";

const figures = { arrivals: 12, average_wait_s: 597, p90_wait_s: null, service_level: 0.8333 } as Figures;

it("says minutes, shares and what is unknown", () => {
  expect([minutes(59), minutes(596), minutes(597), minutes(5400), minutes(null)]).toEqual(["1.0", "9.9", "10", "90", "—"]);
  expect([percent(0.99444), percent(1), percent(null)]).toEqual(["99.4%", "100.0%", "—"]);
  expect([said("arrivals", figures), said("average_wait", figures), said("p90_wait", figures), said("service_level", figures)]).toEqual(["12", "10", "—", "83.3%"]);
  expect(said("arrivals", null)).toBe("—");
});

it("draws what is unknown nowhere, and everything else against round marks", () => {
  expect(onAxis("p90_wait", figures)).toBeNull();
  expect(onAxis("service_level", figures)).toBeCloseTo(83.33);
  expect(marks(0)).toEqual([0, 1]);
  expect(marks(17)).toEqual([0, 5, 10, 15, 20]);
  expect(marks(100)).toEqual([0, 50, 100]);
  for (const most of [1, 3, 7, 12, 44, 99, 380, 7001]) {
    const all = marks(most);
    expect(all[all.length - 1]).toBeGreaterThanOrEqual(most);
    expect(all.length).toBeLessThanOrEqual(6);
  }
});
