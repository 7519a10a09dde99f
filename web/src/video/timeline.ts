// Turns a stream's presentation times into a media timeline that never runs backwards: decode times for streams with
// B-frames (there is no DTS in RTP), and a new base after a jump. Pure.

/** A jump larger than this, either way, starts a new base instead of a hole in the timeline. */
export const JUMP_US = 3_000_000;
const DEFAULT_DELTA_US = 40_000;
/** H.264 allows 16 reordered pictures; no camera sends more than a few. */
const MAX_DEPTH = 4;

export interface Placed {
  dts: number;
  pts: number;
  duration: number;
}

/**
 * Places frames given in decode order. The decode time is the smallest of the last depth+1 presentation times
 * (docs/design/wall-in-the-page.md); the depth is learnt from what is seen, and a frame that teaches a larger depth is
 * refused, with all that follow, until the next key frame.
 */
export class Timeline {
  private depth = 0;
  private heap: number[] = [];
  private recent: number[] = [];
  private sinceKey = 0;
  private origin: number | null = null;
  private offset = 0;
  private lastDts = -1;
  private lastPts = 0;
  private delta = DEFAULT_DELTA_US;
  private waitingForKey = true;

  /** Microseconds of media time per frame, as last seen. */
  get frameUs(): number {
    return this.delta;
  }

  /** Forgets the group of pictures: what comes next must be a key frame. */
  cut(): void {
    this.waitingForKey = true;
  }

  /** The frame's place, or null when it cannot be decoded in order and must be dropped. */
  place(ptsUs: number, key: boolean): Placed | null {
    if (this.waitingForKey && !key) return null;
    if (this.origin !== null && Math.abs(ptsUs - this.lastPts) > JUMP_US) {
      if (!key) {
        this.waitingForKey = true;
        return null;
      }
      this.rebase(ptsUs);
    } else if (this.origin === null) {
      this.rebase(ptsUs);
    } else if (key && this.waitingForKey) {
      this.restart(ptsUs);
    }
    this.waitingForKey = false;

    if (key && this.depth === 0) this.recent = [];
    const later = this.recent.filter((p) => p > ptsUs).length;
    if (later > this.depth) {
      this.depth = Math.min(MAX_DEPTH, later);
      this.waitingForKey = true;
      return null;
    }
    this.recent = [...this.recent.slice(-(MAX_DEPTH + 1)), ptsUs];
    const step = Math.abs(ptsUs - this.lastPts);
    if (this.depth === 0 && this.sinceKey > 0 && step > 1000) this.delta = step;
    this.lastPts = ptsUs;

    const pts = ptsUs + this.offset;
    let dts: number;
    this.heap.push(pts);
    this.heap.sort((a, b) => a - b);
    if (this.heap.length > this.depth) dts = this.heap.shift()!;
    else dts = this.heap[0]! - (this.depth + 1 - this.heap.length) * this.delta;
    if (this.depth > 0 && this.lastDts >= 0 && this.sinceKey > this.depth) {
      const gap = dts - this.lastDts;
      if (gap > 1000) this.delta = gap;
    }
    // Strictly rising, and never past its own presentation.
    dts = Math.max(Math.min(dts, pts), this.lastDts + 1, 0);
    this.lastDts = dts;
    this.sinceKey += 1;
    return { dts, pts: Math.max(pts, dts), duration: this.delta };
  }

  private restart(ptsUs: number): void {
    this.heap = [];
    this.recent = [];
    this.sinceKey = 0;
    // Room for the decode times that lie before the first presentation.
    const earliest = ptsUs + this.offset - this.depth * this.delta;
    if (earliest <= this.lastDts) this.offset += this.lastDts + this.delta - earliest;
  }

  private rebase(ptsUs: number): void {
    const start = this.lastDts < 0 ? MAX_DEPTH * DEFAULT_DELTA_US : this.lastDts + this.delta * (this.depth + 1);
    this.origin = ptsUs;
    this.offset = start - ptsUs;
    this.heap = [];
    this.recent = [];
    this.sinceKey = 0;
    this.lastPts = ptsUs;
  }
}
