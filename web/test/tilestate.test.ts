import { describe, expect, it } from "vitest";
import { judge, pictureAgeMs, staleAfterMs, type Situation, type StreamRow } from "../src/video/tilestate";

const row = (state: StreamRow["state"], why: string | null = null): StreamRow => ({ tile: 1, stream: 3, state, why, codec: "avc1.4d401f", width: 640, height: 360 });
const live: Situation = { hasCamera: true, linkUp: true, row: row("live"), ageMs: 900, arrivedAgoMs: 900, staleAfterMs: 5000 };

describe("tile state", () => {
  it("is live only while the picture is young", () => {
    expect(judge(live).state).toBe("live");
    expect(judge({ ...live, ageMs: 5001, arrivedAgoMs: 5001 })).toEqual({ state: "stale", why: "why.no_frames" });
  });
  it("never calls an old picture live, whatever the centre says", () => {
    for (const state of ["live", "connecting", "stale", "offline", "unsupported"] as const) {
      expect(judge({ ...live, row: row(state), ageMs: 60_000, arrivedAgoMs: 60_000 }).state).not.toBe("live");
    }
  });
  it("tells late pictures from none", () => {
    expect(judge({ ...live, ageMs: 8000, arrivedAgoMs: 200 })).toEqual({ state: "stale", why: "why.late" });
  });
  it("connects, goes offline and says why in the centre's words", () => {
    expect(judge({ ...live, row: null, ageMs: null, arrivedAgoMs: null }).state).toBe("connecting");
    expect(judge({ ...live, row: row("offline", "401"), ageMs: null, arrivedAgoMs: null })).toEqual({ state: "offline", why: "401" });
    expect(judge({ ...live, linkUp: false, ageMs: 7000 })).toEqual({ state: "stale", why: "why.link" });
    expect(judge({ ...live, linkUp: false, row: null, ageMs: null }).state).toBe("offline");
  });
  it("hides a forbidden camera even while a picture is young", () => expect(judge({ ...live, row: row("forbidden") }).state).toBe("forbidden"));
  it("gives key frames 2.5 groups of pictures, never less than 5 s", () => {
    expect(staleAfterMs("sub", 60_000)).toBe(5000);
    expect(staleAfterMs("key", 1000)).toBe(5000);
    expect(staleAfterMs("key", 4000)).toBe(10_000);
  });
  it("takes the older of both clocks", () => {
    const picture = { capturedMs: 1_000_000, arrivedMs: 500 };
    expect(pictureAgeMs(picture, 1000, 1_002_000)).toBe(2000);
    // A hall clock an hour ahead does not make the picture young.
    expect(pictureAgeMs({ ...picture, capturedMs: 4_600_000 }, 9500, 1_009_000)).toBe(9000);
  });
});
