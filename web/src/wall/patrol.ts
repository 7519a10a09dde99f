// The patrol (轮巡) of the wall as pure functions: which cameras stand on which page, when it runs, and when it turns.

export interface Hours {
  /** 1 Monday to 7 Sunday. */
  days: number[];
  /** `HH:MM`; `to` may be `24:00`. */
  from: string;
  to: string;
}

export type Groups = "page" | "hall";
export type Order = "tree" | "risk";

export interface PatrolPlan {
  /** Seconds on each page. */
  dwell: number;
  groups: Groups;
  order: Order;
  /** Nothing: always. */
  hours: Hours[];
}

export const DWELLS = [5, 10, 15, 30, 60, 120, 300] as const;
const LEAST_DWELL = 5;
const MOST_DWELL = 3600;
const MOST_HOURS = 14;
/** A page that did not run for longer (a sleeping machine) has not been looked at in the meantime. */
const MOST_STEP_MS = 5000;

/** Seconds on a page out of an address; null where there is no patrol. */
export function asDwell(text: unknown): number | null {
  const n = Math.trunc(Number(text));
  if (text === null || text === undefined || text === "" || !Number.isFinite(n)) return null;
  return Math.min(MOST_DWELL, Math.max(LEAST_DWELL, n));
}

function minutes(text: string): number | null {
  const found = /^(\d\d):(\d\d)$/.exec(text);
  if (found === null) return null;
  const at = Number(found[1]) * 60 + Number(found[2]);
  return Number(found[2]) < 60 && at <= 1440 ? at : null;
}

/** `1-5T08:30-12:00,6T09:00-12:00` as stretches; null where the text is none. An empty text is no stretch: always. */
export function readHours(text: string): Hours[] | null {
  if (text.trim() === "") return [];
  const out: Hours[] = [];
  for (const part of text.split(",")) {
    const found = /^([1-7])(?:-([1-7]))?T(\d\d:\d\d)-(\d\d:\d\d)$/.exec(part.trim());
    if (found === null) return null;
    const [first, last] = [Number(found[1]), Number(found[2] ?? found[1])];
    const [from, to] = [minutes(found[3]!), minutes(found[4]!)];
    if (last < first || from === null || to === null || from >= to) return null;
    out.push({ days: Array.from({ length: last - first + 1 }, (_, i) => first + i), from: found[3]!, to: found[4]! });
  }
  return out.length > MOST_HOURS ? null : out;
}

/** The text that readHours reads. Days that do not follow each other become stretches of their own. */
export function writeHours(hours: Hours[]): string {
  return hours.flatMap(({ days, from, to }) => {
    const sorted = [...new Set(days)].sort((a, b) => a - b);
    const runs: [number, number][] = [];
    for (const day of sorted) {
      const last = runs.at(-1);
      if (last !== undefined && last[1] === day - 1) last[1] = day;
      else runs.push([day, day]);
    }
    return runs.map(([a, b]) => `${a === b ? a : `${a}-${b}`}T${from}-${to}`);
  }).join(",");
}

/** Whether the patrol runs at this moment of local time. */
export function inHours(hours: Hours[], at: Date): boolean {
  if (hours.length === 0) return true;
  const day = at.getDay() === 0 ? 7 : at.getDay();
  const now = at.getHours() * 60 + at.getMinutes();
  return hours.some((h) => h.days.includes(day) && (minutes(h.from) ?? 0) <= now && now < (minutes(h.to) ?? 0));
}

/** When it begins next, of the eight days from `at` on; null if never, or if it runs already. */
export function nextBegin(hours: Hours[], at: Date): Date | null {
  if (inHours(hours, at)) return null;
  let best: Date | null = null;
  for (let ahead = 0; ahead <= 7; ahead += 1) {
    const day = new Date(at.getFullYear(), at.getMonth(), at.getDate() + ahead);
    for (const h of hours) {
      if (!h.days.includes(day.getDay() === 0 ? 7 : day.getDay())) continue;
      const begin = new Date(day.getTime());
      begin.setHours(0, minutes(h.from) ?? 0, 0, 0);
      if (begin > at && (best === null || begin < best)) best = begin;
    }
  }
  return best;
}

/** Pages of at most `size`; with groups by hall every hall begins a page of its own, halls in the order they first come. At least one page. */
export function pagesOfGroups<T extends { hall: string }>(items: T[], size: number, groups: Groups): T[][] {
  const sets = new Map<string, T[]>();
  for (const item of items) {
    const key = groups === "hall" ? item.hall : "";
    const set = sets.get(key);
    if (set === undefined) sets.set(key, [item]);
    else set.push(item);
  }
  const pages = [...sets.values()].flatMap((set) => Array.from({ length: Math.ceil(set.length / size) }, (_, i) => set.slice(i * size, (i + 1) * size)));
  return pages.length > 0 ? pages : [[]];
}

/** How long a page still stands. Time counts only while the patrol runs; a turn by hand begins the page anew. */
export class PatrolClock {
  private left = 0;
  private last: number | null = null;

  /** ms until the next turn. */
  get leftMs(): number {
    return Math.max(0, this.left);
  }

  restart(dwellSeconds: number): void {
    this.left = dwellSeconds * 1000;
  }

  /** Whether it is time to turn. `running` is false while paused, outside the hours or with a window opened large. */
  step(nowMs: number, running: boolean): boolean {
    const passed = this.last === null ? 0 : Math.min(MOST_STEP_MS, Math.max(0, nowMs - this.last));
    this.last = nowMs;
    if (!running) return false;
    this.left -= passed;
    return this.left <= 0;
  }
}
