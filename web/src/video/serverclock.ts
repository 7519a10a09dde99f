// What time it is at the centre, from the Date headers of its answers. Each answer says that the centre's clock stood
// within one second at some moment between asking and answering; the offsets that fit all answers narrow quickly.

export class ServerClock {
  private low = Number.NEGATIVE_INFINITY;
  private high = Number.POSITIVE_INFINITY;

  /** `date`: the header; `sentMs`, `receivedMs`: the page's clock around the request. */
  observe(date: string | null, sentMs: number, receivedMs: number): void {
    if (date === null) return;
    const said = Date.parse(date);
    if (Number.isNaN(said)) return;
    const low = said - receivedMs;
    const high = said + 1000 - sentMs;
    if (high < this.low || low > this.high) {
      // One of the clocks was set: what was known before is void.
      this.low = low;
      this.high = high;
    } else {
      this.low = Math.max(this.low, low);
      this.high = Math.min(this.high, high);
    }
  }

  /** Centre's clock minus the page's, in ms; 0 while nothing is known. */
  get offsetMs(): number {
    if (!Number.isFinite(this.low) || !Number.isFinite(this.high)) return 0;
    return (this.low + this.high) / 2;
  }
}

/** The page's one clock of the centre. */
export const serverClock = new ServerClock();

/** The centre's time now, in ms since 1970. */
export function serverNow(): number {
  return Date.now() + serverClock.offsetMs;
}
