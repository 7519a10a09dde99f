// Times as people read them: a clock time with its age, a length of time. Pure but for the one ticking `now`, which is
// the centre's clock.

import { ref } from "vue";
import { serverNow } from "../video/serverclock";

/** The centre's time, renewed every second. */
export const now = ref(serverNow());
setInterval(() => {
  now.value = serverNow();
}, 1000);

const pad = (n: number) => String(n).padStart(2, "0");

/** `09:02:03`, of this browser's zone. */
export function clock(at: string | number | null | undefined, seconds = true): string {
  if (at === null || at === undefined) return "—";
  const d = new Date(at);
  if (Number.isNaN(d.getTime())) return "—";
  return `${pad(d.getHours())}:${pad(d.getMinutes())}${seconds ? `:${pad(d.getSeconds())}` : ""}`;
}

/** `2026-11-22 09:02:03`. */
export function moment(at: string | number | null | undefined): string {
  if (at === null || at === undefined) return "—";
  const d = new Date(at);
  if (Number.isNaN(d.getTime())) return "—";
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(at)}`;
}

/** A time of today as a clock time, of another day with its date: `09:02:03`, `11-21 09:02`. */
export function lately(at: string | number | null | undefined, seconds = true, today: number = now.value): string {
  if (at === null || at === undefined) return "—";
  const d = new Date(at);
  if (Number.isNaN(d.getTime())) return "—";
  if (d.toDateString() === new Date(today).toDateString()) return clock(at, seconds);
  return `${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(at, false)}`;
}

/** `3:07`, `1:02:09`. */
export function span(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);
  return h > 0 ? `${h}:${pad(m)}:${pad(s % 60)}` : `${m}:${pad(s % 60)}`;
}

export interface Age {
  unit: "ms" | "s" | "min" | "h" | "d";
  value: string;
}

/** A length of time in its natural unit, for `age.…` of the catalogue. */
export function age(ms: number): Age {
  if (ms < 10_000) return { unit: "s", value: (Math.max(0, ms) / 1000).toFixed(1) };
  if (ms < 120_000) return { unit: "s", value: String(Math.round(ms / 1000)) };
  if (ms < 7_200_000) return { unit: "min", value: String(Math.round(ms / 60_000)) };
  if (ms < 172_800_000) return { unit: "h", value: String(Math.round(ms / 3_600_000)) };
  return { unit: "d", value: String(Math.round(ms / 86_400_000)) };
}
