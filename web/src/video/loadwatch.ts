// Whether this machine keeps up with its wall. Sheds one step at a time when it does not, and takes a step back only after
// a long calm, longer each time that it was too early. Pure: figures and time come in.

/** What a second was like. */
export interface Load {
  /** How late the page's own timer was, ms, on average. */
  lagMs: number;
  /** Frames that the media elements showed and dropped in this second. */
  shown: number;
  dropped: number;
}

/** 0: everything as asked; 1: moving tiles become key frames; 2: the large one too; 3: small tiles become stills. */
export type Shed = 0 | 1 | 2 | 3;

const BUSY_LAG_MS = 500;
const CALM_LAG_MS = 150;
const BUSY_DROPPED = 0.4;
const CALM_DROPPED = 0.1;
/** Fewer frames say nothing about a share. */
const ENOUGH_FRAMES = 20;
const SHED_AFTER_S = 8;
const FIRST_CALM_S = 30;
const LAST_CALM_S = 480;
/** Calm for so long at level 0: what was learnt is forgotten. */
const FORGET_S = 900;

export class LoadWatch {
  private busy = 0;
  private calm = 0;
  private calmNeeded = FIRST_CALM_S;
  private sinceBack: number | null = null;
  level: Shed = 0;

  /** Takes one second's figures; whether the level has changed. `steps` are the levels that would change anything, rising. */
  take(load: Load, steps: readonly Shed[]): boolean {
    const frames = load.shown + load.dropped;
    const share = frames >= ENOUGH_FRAMES ? load.dropped / frames : 0;
    const isBusy = load.lagMs >= BUSY_LAG_MS || share >= BUSY_DROPPED;
    const isCalm = load.lagMs <= CALM_LAG_MS && share <= CALM_DROPPED;
    // A second in between neither wears down nor builds up.
    this.busy = isBusy ? this.busy + 1 : isCalm ? 0 : this.busy;
    this.calm = isCalm ? this.calm + 1 : 0;
    if (this.sinceBack !== null) this.sinceBack += 1;
    if (this.level === 0 && this.calm >= FORGET_S) this.calmNeeded = FIRST_CALM_S;

    const next = steps.find((step) => step > this.level);
    if (this.busy >= SHED_AFTER_S && next !== undefined) {
      // It came back too early last time: next time it waits longer.
      if (this.sinceBack !== null && this.sinceBack < this.calmNeeded * 2) this.calmNeeded = Math.min(LAST_CALM_S, this.calmNeeded * 2);
      this.sinceBack = null;
      this.level = next;
      this.busy = 0;
      return true;
    }
    if (this.level > 0 && this.calm >= this.calmNeeded) {
      this.level = steps.findLast((step) => step < this.level) ?? 0;
      this.calm = 0;
      this.sinceBack = 0;
      return true;
    }
    return false;
  }
}
