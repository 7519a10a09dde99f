// Periods of the calendar in the page: their steps and their names. Days are `YYYY-MM-DD`; nothing here knows a zone.

import type { Length } from "./model";

export const LENGTHS: readonly Length[] = ["day", "week", "month", "quarter", "year"];

const pad = (n: number) => String(n).padStart(2, "0");
const utc = (day: string) => new Date(`${day}T00:00:00Z`);
const iso = (d: Date) => `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())}`;

/** Today on this computer. */
export function today(nowMs: number): string {
  const d = new Date(nowMs);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

/** A day of the period `by` steps on from the one `day` lies in. */
export function stepped(length: Length, day: string, by: number): string {
  const d = utc(day);
  if (Number.isNaN(d.getTime())) return day;
  if (length === "day") d.setUTCDate(d.getUTCDate() + by);
  else if (length === "week") d.setUTCDate(d.getUTCDate() + 7 * by);
  else {
    d.setUTCDate(1);
    d.setUTCMonth(d.getUTCMonth() + by * { month: 1, quarter: 3, year: 12 }[length]);
  }
  return iso(d);
}

/** The days of a period as people name it: `2026-11`, `2026 Q4`, `2026-11-23 – 11-29`. */
export function named(length: Length, from: string, to: string): string {
  if (length === "day") return from;
  if (length === "week") return `${from} – ${to.slice(5)}`;
  if (length === "month") return from.slice(0, 7);
  if (length === "year") return from.slice(0, 4);
  return `${from.slice(0, 4)} Q${Math.floor((Number(from.slice(5, 7)) - 1) / 3) + 1}`;
}
