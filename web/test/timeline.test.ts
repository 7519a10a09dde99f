import { describe, expect, it } from "vitest";
import { Timeline } from "../src/video/timeline";

const MS = 1000;

describe("timeline", () => {
  it("waits for a key frame", () => {
    const t = new Timeline();
    expect(t.place(0, false)).toBeNull();
    expect(t.place(40 * MS, true)).not.toBeNull();
  });
  it("keeps presentation equal to decode without B-frames", () => {
    const t = new Timeline();
    const placed = [0, 1, 2, 3, 4].map((i) => t.place(i * 80 * MS, i === 0)!);
    for (const p of placed) expect(p.pts).toBe(p.dts);
    expect(placed[4]!.pts - placed[3]!.pts).toBe(80 * MS);
    expect(placed[4]!.duration).toBe(80 * MS);
  });
  it("learns reordering and keeps decode times rising", () => {
    const t = new Timeline();
    // I P B B P B B, twice, in decode order.
    const order = [0, 3, 1, 2, 6, 4, 5];
    const placed = [0, 700, 1400, 2100].flatMap((base, g) => order.map((n, i) => ({ g, p: t.place((base + n * 100) * MS, i === 0) })));
    const after = placed.filter((x) => x.g >= 2).map((x) => x.p);
    expect(after.every((p) => p !== null)).toBe(true);
    let last = -1;
    for (const { p } of placed) {
      if (p === null) continue;
      expect(p.dts).toBeGreaterThan(last);
      expect(p.pts).toBeGreaterThanOrEqual(p.dts);
      last = p.dts;
    }
    expect(new Set(after.map((p) => p!.pts)).size).toBe(after.length);
  });
  it("starts a new base after a jump, either way, without a hole", () => {
    const t = new Timeline();
    const first = t.place(1_000_000 * MS, true)!;
    const second = t.place(1_000_040 * MS, false)!;
    expect(t.place(5 * MS, false)).toBeNull();
    const third = t.place(45 * MS, true)!;
    expect(third.dts).toBeGreaterThan(second.dts);
    expect(third.pts - first.pts).toBeLessThan(500 * MS);
  });
});
