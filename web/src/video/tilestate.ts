// What a tile says of itself: a pure function of the centre's row, the last picture on the screen and the clock. A
// picture is `live` only while it is young by both clocks: the hall's capture time and our own arrival time.

import type { Tier } from "./frame";

export type StreamState = "live" | "connecting" | "stale" | "offline" | "forbidden" | "unsupported";
export type TileState = StreamState | "empty";

/** A row of the wall socket's `streams` (docs/reference/wall-protocol.md). */
export interface StreamRow {
  tile: number;
  stream: number | null;
  state: StreamState;
  why: string | null;
  codec: string | null;
  width: number | null;
  height: number | null;
}

export const STALE_MS = 5000;
/** A still is refreshed more slowly than a moving picture. */
export const STALE_STILL_MS = 10_000;

/** When a picture of this tier stops being live; for key frames 2.5 groups of pictures if that is longer. */
export function staleAfterMs(tier: Tier, gopMs: number | null): number {
  if (tier === "still") return STALE_STILL_MS;
  if (tier === "key" && gopMs !== null) return Math.max(STALE_MS, Math.min(gopMs * 2.5, 120_000));
  return STALE_MS;
}

export interface Picture {
  capturedMs: number;
  arrivedMs: number;
}

/**
 * The age of what is on the screen in ms: the older of "since it was captured" (by the centre's clock) and "since it
 * arrived here" (by this page's). A hall clock that runs ahead can therefore never make an old picture young.
 */
export function pictureAgeMs(picture: Picture, pageNowMs: number, serverNowMs: number): number {
  return Math.max(0, serverNowMs - picture.capturedMs, pageNowMs - picture.arrivedMs);
}

export interface Situation {
  hasCamera: boolean;
  linkUp: boolean;
  row: StreamRow | null;
  ageMs: number | null;
  /** Since the picture arrived here: tells an old picture from one whose capture time is wrong. */
  arrivedAgoMs: number | null;
  staleAfterMs: number;
}

export interface Verdict {
  state: TileState;
  /** A key of the catalogue (`why.…`), or the centre's own words. */
  why: string | null;
}

/** The tile's state and its reason. */
export function judge(s: Situation): Verdict {
  if (!s.hasCamera) return { state: "empty", why: null };
  if (s.row?.state === "forbidden") return { state: "forbidden", why: s.row.why ?? "why.forbidden" };
  if (s.ageMs !== null && s.ageMs <= s.staleAfterMs) return { state: "live", why: s.linkUp ? null : "why.link" };
  if (!s.linkUp) return { state: s.ageMs === null ? "offline" : "stale", why: "why.link" };
  if (s.row !== null && (s.row.state === "offline" || s.row.state === "unsupported")) {
    return { state: s.row.state, why: s.row.why ?? `why.${s.row.state}` };
  }
  if (s.ageMs === null) return { state: "connecting", why: s.row?.why ?? null };
  if (s.row?.state !== "live") return { state: "stale", why: s.row?.why ?? "why.no_frames" };
  const arrivesStill = s.arrivedAgoMs !== null && s.arrivedAgoMs <= s.staleAfterMs;
  return { state: "stale", why: arrivesStill ? "why.late" : (s.row.why ?? "why.no_frames") };
}
