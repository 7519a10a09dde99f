// Which window wants to be looked at first: a camera that fails, a bad rating a short while ago, somebody who waits long.

import type { Camera, WindowState } from "../api/model";
import { cameraTrouble } from "../state/tree";

/** A bad rating counts for so long. */
const RATING_MS = 30 * 60_000;
/** From here on a wait is long. */
const LONG_WAIT_MS = 15 * 60_000;
const BAD_GRADE = 2;

/** Higher is looked at first; 0 for a window with nothing to it. */
export function riskOf(camera: Camera, state: WindowState | undefined, nowMs: number): number {
  let risk = cameraTrouble(camera.state) ? 10_000 : 0;
  const rated = state?.last_rating;
  if (rated && rated.grade <= BAD_GRADE && nowMs - Date.parse(rated.at) < RATING_MS) risk += 2000 + (BAD_GRADE - rated.grade) * 500;
  const waited = state?.waiting_since ? nowMs - Date.parse(state.waiting_since) : 0;
  if (waited >= LONG_WAIT_MS) risk += 500 + Math.min(480, Math.floor(waited / 60_000));
  return risk;
}

/** The cameras by risk; where it is the same they stay in their order. */
export function byRisk(cameras: Camera[], states: ReadonlyMap<string, WindowState>, nowMs: number): Camera[] {
  const risks = new Map(cameras.map((c) => [c.id, riskOf(c, c.window === null ? undefined : states.get(c.window), nowMs)]));
  return [...cameras].sort((a, b) => risks.get(b.id)! - risks.get(a.id)!);
}
