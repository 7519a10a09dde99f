import { describe, expect, it } from "vitest";
import { Reel, type Screenlet } from "../src/video/reel";

/** A video that plays as told, by hand. */
class Fake implements Screenlet {
  currentTime = 0;
  playbackRate = 1;
  paused = true;
  seeking = false;
  ended = false;
  readyState = 4;
  constructor(readonly duration: number) {}
  play() {
    this.paused = false;
    return Promise.resolve();
  }
  pause() {
    this.paused = true;
  }
  pass(seconds: number) {
    if (!this.paused) this.currentTime += seconds * this.playbackRate;
  }
}

const clip = (zeroMs: number) => ({ src: "", zeroMs });

describe("a reel", () => {
  it("shows one moment on every video, whatever their zeros", () => {
    const reel = new Reel(100_000, 160_000, 110_000);
    const [a, b] = [new Fake(60), new Fake(50)];
    reel.add("a", clip(100_000), a);
    reel.add("b", clip(105_000), b);
    expect([a.currentTime, b.currentTime]).toEqual([10, 5]);
    reel.seek(500_000);
    expect([reel.wallMs, a.currentTime, b.currentTime]).toEqual([160_000, 60, 55]);
  });
  it("follows its first video, and keeps the others in step", () => {
    const reel = new Reel(0, 60_000, 0);
    const [a, b] = [new Fake(60), new Fake(60)];
    reel.add("a", clip(0), a);
    reel.add("b", clip(0), b);
    reel.play();
    for (let i = 0; i < 10; i += 1) {
      a.pass(0.1);
      b.pass(0.09);
      reel.tick(100);
    }
    expect(reel.wallMs).toBeCloseTo(1000, 3);
    expect(Math.abs(a.currentTime - b.currentTime)).toBeLessThan(0.1);
    expect(b.playbackRate).toBeGreaterThan(1);
    b.currentTime = 20;
    reel.tick(100);
    expect(b.currentTime).toBeCloseTo(1, 3);
  });
  it("stands while the footage loads, and goes on where there is none", () => {
    const reel = new Reel(0, 60_000, 0);
    const a = new Fake(10);
    reel.add("a", clip(20_000), a);
    reel.play();
    // Before its clip begins nobody covers the moment: time goes by the clock.
    expect(reel.tick(5000)).toBe(5000);
    reel.seek(20_000);
    a.readyState = 1;
    reel.tick(5000);
    expect(reel.tick(5000)).toBe(20_000);
    a.readyState = 4;
    a.pass(2);
    expect(reel.tick(100)).toBe(22_000);
  });
  it("plays at half to eight times the pace, steps by frames, and stops at its end", () => {
    const reel = new Reel(0, 10_000, 0);
    const a = new Fake(10);
    reel.add("a", clip(0), a);
    reel.setSpeed(20);
    expect([reel.rate, a.playbackRate]).toEqual([8, 8]);
    reel.setSpeed(1);
    reel.seek(2000);
    reel.step(1);
    expect(reel.wallMs).toBeCloseTo(2040, 6);
    reel.frame("a", 1);
    reel.frame("a", 1.08);
    reel.step(-1);
    expect([reel.wallMs, a.currentTime].map((n) => Math.round(n * 100) / 100)).toEqual([1960, 1.96]);
    reel.play();
    a.currentTime = 10;
    a.ended = false;
    reel.seek(9990);
    a.currentTime = 10.5;
    reel.tick(1000);
    reel.tick(1000);
    expect([reel.wallMs, reel.playing, a.paused]).toEqual([10_000, false, true]);
    reel.play();
    expect(reel.wallMs).toBe(0);
  });
});
