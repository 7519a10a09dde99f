import { describe, expect, it } from "vitest";
import type { Camera, WindowState } from "../src/api/model";
import { asDwell, inHours, nextBegin, pagesOfGroups, PatrolClock, readHours, writeHours } from "../src/wall/patrol";
import { byRisk, riskOf } from "../src/wall/risk";
import { back, sinceCalled, withReplay, type ReplayAsked } from "../src/wall/replays";

describe("the patrol's hours", () => {
  const week = readHours("1-5T08:30-12:00,1-5T14:00-17:30,6T09:00-24:00")!;
  // 2026-11-23 is a Monday.
  const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, 22 + day, hour, minute);

  it("are read and written alike, and refused where they are none", () => {
    expect(writeHours(week)).toBe("1-5T08:30-12:00,1-5T14:00-17:30,6T09:00-24:00");
    expect(writeHours([{ days: [7, 1, 2], from: "00:00", to: "24:00" }])).toBe("1-2T00:00-24:00,7T00:00-24:00");
    expect(readHours("")).toEqual([]);
    for (const wrong of ["8:30-12:00", "0T08:30-12:00", "1T12:00-08:30", "1T08:30-08:30", "1T08:61-09:00", "1T00:00-24:01", "5-1T08:00-09:00", "x"]) expect(readHours(wrong), wrong).toBeNull();
    expect(readHours(Array(15).fill("1T08:00-09:00").join(","))).toBeNull();
  });
  it("say whether it runs, and when it begins next", () => {
    expect([at(1, 8, 29), at(1, 8, 30), at(1, 11, 59), at(1, 12), at(6, 23, 59), at(7, 10)].map((d) => inHours(week, d))).toEqual([false, true, true, false, true, false]);
    expect(nextBegin(week, at(1, 12, 30))).toEqual(at(1, 14));
    expect(nextBegin(week, at(5, 18))).toEqual(at(6, 9));
    expect(nextBegin(week, at(7, 10))).toEqual(at(8, 8, 30));
    expect(nextBegin(week, at(1, 9))).toBeNull();
    // Only Mondays, on a Monday evening: in a week.
    expect(nextBegin(readHours("1T08:00-09:00")!, at(1, 20))).toEqual(at(8, 8));
    expect(inHours([], at(7, 3))).toBe(true);
  });
});

describe("the patrol", () => {
  it("takes a stay within bounds out of an address", () => {
    expect([asDwell("15"), asDwell("1"), asDwell("99999"), asDwell("x"), asDwell(null), asDwell("")]).toEqual([15, 5, 3600, null, null, null]);
  });
  it("makes pages, and begins one for each hall", () => {
    const items = ["a1", "b1", "a2", "a3", "b2"].map((id) => ({ id, hall: id[0]! }));
    const ids = (pages: { id: string }[][]) => pages.map((page) => page.map((i) => i.id).join(" "));
    expect(ids(pagesOfGroups(items, 2, "page"))).toEqual(["a1 b1", "a2 a3", "b2"]);
    expect(ids(pagesOfGroups(items, 2, "hall"))).toEqual(["a1 a2", "a3", "b1 b2"]);
    expect(pagesOfGroups([], 2, "page")).toEqual([[]]);
  });
  it("counts only the time that it runs", () => {
    const clock = new PatrolClock();
    clock.restart(10);
    expect(clock.step(0, true)).toBe(false);
    for (let ms = 1000; ms <= 9000; ms += 1000) expect(clock.step(ms, true)).toBe(false);
    expect(clock.step(60_000, false)).toBe(false);
    expect(clock.leftMs).toBe(1000);
    expect(clock.step(61_000, true)).toBe(true);
    clock.restart(10);
    // The machine slept an hour: nobody looked at the page in the meantime.
    expect(clock.step(3_700_000, true)).toBe(false);
    expect(clock.leftMs).toBe(5000);
  });
});

describe("risk", () => {
  const now = Date.parse("2026-11-23T02:00:00Z");
  const camera = (id: string, state = "live"): Camera => ({ id: `${id}-C1`, hall: "h", window: id, name: id, kind: "window", state, why: null });
  const state = (over: Partial<WindowState>) => ({ waiting_since: null, last_rating: null, ...over }) as WindowState;
  const minutesAgo = (n: number) => new Date(now - n * 60_000).toISOString();

  it("puts faults, bad ratings and long waits first, and leaves the rest in its order", () => {
    const states = new Map([
      ["1", state({})], ["2", state({ waiting_since: minutesAgo(20) })], ["3", state({ last_rating: { grade: 2, at: minutesAgo(3) } })],
      ["4", state({ last_rating: { grade: 1, at: minutesAgo(3) } })], ["5", state({ waiting_since: minutesAgo(50) })], ["7", state({ last_rating: { grade: 1, at: minutesAgo(40) } })],
    ]);
    const cameras = ["1", "2", "3", "4", "5"].map((id) => camera(id)).concat(camera("6", "offline"), camera("7"));
    expect(byRisk(cameras, states, now).map((c) => c.window)).toEqual(["6", "4", "3", "5", "2", "1", "7"]);
    expect(riskOf(camera("1", "connecting"), undefined, now)).toBe(0);
    expect(riskOf(camera("1"), state({ waiting_since: minutesAgo(14) }), now)).toBe(0);
  });
});

describe("replays", () => {
  it("are at most four, and the oldest gives way", () => {
    let shown: ReadonlyMap<string, ReplayAsked> = new Map();
    for (const id of ["a", "b", "c", "d", "e"]) shown = withReplay(shown, id, back(30, 1_000_000));
    expect([...shown.keys()]).toEqual(["b", "c", "d", "e"]);
    expect([...withReplay(shown, "c", null).keys()]).toEqual(["b", "d", "e"]);
  });
  it("begin shortly before the call, and never hours before", () => {
    expect(sinceCalled(100_000, 200_000)).toMatchObject({ fromMs: 95_000, toMs: 200_000 });
    expect(sinceCalled(0, 100 * 3_600_000).fromMs).toBe(97 * 3_600_000);
  });
});
