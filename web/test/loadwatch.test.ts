import { describe, expect, it } from "vitest";
import { LoadWatch, type Load, type Shed } from "../src/video/loadwatch";

const CALM: Load = { lagMs: 5, shown: 100, dropped: 0 };
const BUSY: Load = { lagMs: 900, shown: 100, dropped: 0 };
const DROPS: Load = { lagMs: 5, shown: 20, dropped: 80 };
const BETWEEN: Load = { lagMs: 300, shown: 100, dropped: 20 };

/** Gives the level after each second. */
const run = (watch: LoadWatch, load: Load, seconds: number, steps: readonly Shed[] = [1, 2]) => Array.from({ length: seconds }, () => {
  watch.take(load, steps);
  return watch.level;
});

describe("the load watch", () => {
  it("sheds a step at a time, and only after some seconds", () => {
    const watch = new LoadWatch();
    expect(run(watch, BUSY, 16)).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
    expect(run(watch, BUSY, 20).at(-1)).toBe(2);
    expect(run(new LoadWatch(), DROPS, 8).at(-1)).toBe(1);
  });
  it("does not shed for a hiccup, nor for what is neither", () => {
    const watch = new LoadWatch();
    for (let i = 0; i < 20; i += 1) {
      run(watch, BUSY, 7);
      run(watch, CALM, 1);
    }
    expect(watch.level).toBe(0);
    expect(run(new LoadWatch(), BETWEEN, 100).at(-1)).toBe(0);
    // A handful of frames says nothing.
    expect(run(new LoadWatch(), { lagMs: 0, shown: 2, dropped: 10 }, 100).at(-1)).toBe(0);
  });
  it("sheds nothing where nothing would be gained", () => {
    expect(run(new LoadWatch(), BUSY, 60, []).at(-1)).toBe(0);
    expect(run(new LoadWatch(), BUSY, 60, [1]).at(-1)).toBe(1);
  });
  it("takes at once the first step that would change anything, and the same way back", () => {
    const watch = new LoadWatch();
    expect(run(watch, BUSY, 8, [3]).at(-1)).toBe(3);
    expect(run(watch, CALM, 30, [1, 3]).at(-1)).toBe(1);
    expect(run(watch, CALM, 200, [3]).at(-1)).toBe(0);
  });
  it("comes back after a calm, and waits longer when that was too early", () => {
    const watch = new LoadWatch();
    run(watch, BUSY, 8);
    expect(run(watch, BETWEEN, 200).at(-1)).toBe(1);
    expect(run(watch, CALM, 29).at(-1)).toBe(1);
    expect(run(watch, CALM, 1).at(-1)).toBe(0);
    run(watch, BUSY, 8);
    expect(watch.level).toBe(1);
    expect(run(watch, CALM, 59).at(-1)).toBe(1);
    expect(run(watch, CALM, 1).at(-1)).toBe(0);
    // A quarter of an hour without trouble: what was learnt is forgotten.
    run(watch, CALM, 900);
    run(watch, BUSY, 8);
    expect(run(watch, CALM, 30).at(-1)).toBe(0);
  });
});
