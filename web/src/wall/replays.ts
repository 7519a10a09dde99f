// Which tiles of the wall replay, and what: at most four at a time, since each is a decoder and a stream from a hall.

export interface ReplayAsked {
  fromMs: number;
  toMs: number;
  /** What the beginning is: so many seconds back, or the call of the ticket. */
  since: "seconds" | "called";
}

export const REPLAY_SECONDS = [30, 60, 120, 300] as const;
const MOST = 4;
/** Longer than any wait at a window; the centre takes six hours. */
const LONGEST_MS = 3 * 3_600_000;

/** A replay of the last `seconds`. */
export function back(seconds: number, nowMs: number): ReplayAsked {
  return { fromMs: nowMs - seconds * 1000, toMs: nowMs, since: "seconds" };
}

/** A replay from five seconds before the call on. */
export function sinceCalled(calledMs: number, nowMs: number): ReplayAsked {
  return { fromMs: Math.max(calledMs - 5000, nowMs - LONGEST_MS), toMs: nowMs, since: "called" };
}

/** The replays with this one; the oldest gives way. */
export function withReplay(now: ReadonlyMap<string, ReplayAsked>, camera: string, asked: ReplayAsked | null): Map<string, ReplayAsked> {
  const next = new Map(now);
  next.delete(camera);
  if (asked !== null) next.set(camera, asked);
  for (const oldest of next.keys()) {
    if (next.size <= MOST) break;
    next.delete(oldest);
  }
  return next;
}
