// The alarms of an open wall: bounded, one row for each camera, device or rating, newest first. Pure; time comes in.

/** An alarm as the wall socket tells it (docs/reference/wall-protocol.md). */
export interface Alarm {
  n: number;
  kind: string;
  at: string;
  hall: string;
  window: string | null;
  device: string | null;
  case_id: string | null;
  grade: number | null;
  why: string | null;
  /** The trouble of this camera or device is over. */
  over: boolean;
}

export interface AlarmItem {
  key: string;
  alarm: Alarm;
  /** How often it was told while it stood here. */
  times: number;
  /** When it leaves by itself, by the page's clock; null: when it is over or dismissed. */
  leavesAt: number | null;
}

const MOST = 40;
/** A rating is news for so long. */
const RATING_MS = 120_000;
/** How long one reads that a trouble is over. */
const OVER_MS = 8000;

/** What an alarm is about: the same thing again counts on its row. */
export function keyOf(alarm: Alarm): string {
  const about = alarm.kind.split(".")[0]!;
  if (about === "rating") return `rating:${alarm.n}`;
  return `${about}:${alarm.device ?? alarm.hall}`;
}

export class AlarmList {
  private list: AlarmItem[] = [];

  /** Newest first. */
  get items(): readonly AlarmItem[] {
    return this.list;
  }

  /** Gives the alarms that are new or worse than before: what is to be popped up. */
  take(alarms: Alarm[], nowMs: number): AlarmItem[] {
    const fresh: AlarmItem[] = [];
    for (const alarm of alarms) {
      const key = keyOf(alarm);
      const known = this.list.find((item) => item.key === key);
      if (alarm.over) {
        // A recovery of something nobody was told of is no news.
        if (known !== undefined && !known.alarm.over) this.put({ ...known, alarm, leavesAt: nowMs + OVER_MS });
        continue;
      }
      const item: AlarmItem = {
        key, alarm, times: (known?.times ?? 0) + 1, leavesAt: alarm.kind.startsWith("rating.") ? nowMs + RATING_MS : null,
      };
      this.put(item);
      fresh.push(item);
    }
    return fresh;
  }

  dismiss(key: string): void {
    this.list = this.list.filter((item) => item.key !== key);
  }

  clear(): void {
    this.list = [];
  }

  /** Takes out what leaves by itself; whether anything did. */
  expire(nowMs: number): boolean {
    const before = this.list.length;
    this.list = this.list.filter((item) => item.leavesAt === null || item.leavesAt > nowMs);
    return this.list.length !== before;
  }

  private put(item: AlarmItem): void {
    this.list = [item, ...this.list.filter((other) => other.key !== item.key)].slice(0, MOST);
  }
}
