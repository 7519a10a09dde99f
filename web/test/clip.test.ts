import { describe, expect, it } from "vitest";
import { exactTime, stillName } from "../src/video/capture";
import { clipAddress, gapAt, stretchOn, toMedia, toWall } from "../src/video/clip";

describe("a clip's time", () => {
  const clip = { zeroMs: 1_000_000 };
  it("goes to the wall's and back", () => {
    expect(toWall(clip, 2.5)).toBe(1_002_500);
    expect(toMedia(clip, toWall(clip, 7.04))).toBeCloseTo(7.04, 9);
  });
  it("lies on a bar, cut to it", () => {
    expect(stretchOn(0, 100, 50, 75)).toEqual({ at: 0.5, length: 0.25 });
    expect(stretchOn(0, 100, -50, 25)).toEqual({ at: 0, length: 0.25 });
    expect(stretchOn(0, 100, 100, 200)).toBeNull();
    expect(stretchOn(100, 100, 0, 200)).toBeNull();
  });
  it("knows the gap of a moment", () => {
    const gaps = [{ from: "2026-11-23T02:00:00Z", to: "2026-11-23T02:01:00Z", code: "agent_down", why: null }, { from: "2026-11-23T03:00:00Z", to: null, code: "disk_full", why: null }];
    expect(gapAt(gaps, Date.parse("2026-11-23T02:00:00Z"))?.code).toBe("agent_down");
    expect(gapAt(gaps, Date.parse("2027-01-01T00:00:00Z"))?.code).toBe("disk_full");
    expect(gapAt(gaps, Date.parse("2026-11-23T02:01:00Z"))).toBeNull();
  });
  it("is asked for by an address", () => {
    const asked = { camera: "450103-01-W07-C1", fromMs: 0, toMs: 1000.4 };
    expect(clipAddress(asked)).toBe("/api/v1/cameras/450103-01-W07-C1/clip.mp4?from=1970-01-01T00%3A00%3A00.000Z&to=1970-01-01T00%3A00%3A01.000Z");
  });
});

describe("a still", () => {
  it("is named by camera, true time and case", () => {
    const facts = { camera: "450103-01-W07-C1", name: "x", window: null, caseId: "450103-01-20261122-00042-C", person: "p", capturedMs: new Date(2026, 10, 22, 9, 2, 3, 45).getTime() };
    expect(stillName(facts)).toBe("450103-01-W07-C1_20261122-090203.045_450103-01-20261122-00042-C.jpg");
    expect(stillName({ ...facts, caseId: null })).toBe("450103-01-W07-C1_20261122-090203.045.jpg");
    expect(exactTime(facts.capturedMs)).toMatch(/^2026-11-22 09:02:03\.045 [+-]\d\d:\d\d$/);
  });
});
