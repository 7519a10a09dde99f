// When a tile that fell back to a lesser way of showing its camera tries the better one again: its reason may be gone. Waits
// longer each time that it was not. Pure: times come in.

const FIRST_MS = 30_000;
const LAST_MS = 600_000;
/** What went well for so long went well. */
const FORGET_MS = 120_000;

export class Comeback {
  private at: number | null = null;
  private tried: number | null = null;
  private waitMs = FIRST_MS;

  /** It fell back, or fell back again. */
  fell(nowMs: number): void {
    this.at = nowMs + this.waitMs;
    this.waitMs = Math.min(LAST_MS, this.waitMs * 2);
  }

  /** The camera came back, perhaps with another setting: no reason to wait. */
  cameraBack(nowMs: number): void {
    if (this.at !== null) this.at = Math.min(this.at, nowMs);
  }

  /** Whether to try now; said once. */
  due(nowMs: number): boolean {
    if (this.at === null) {
      if (this.tried !== null && nowMs - this.tried > FORGET_MS) {
        this.tried = null;
        this.waitMs = FIRST_MS;
      }
      return false;
    }
    if (nowMs < this.at) return false;
    this.at = null;
    this.tried = nowMs;
    return true;
  }

  /** Whether a better way is being tried, or was a short while ago. */
  get trying(): boolean {
    return this.tried !== null;
  }
}
