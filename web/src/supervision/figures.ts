// The figures of reports: how each is read out of a sum, written, and which way is better. Pure.

import type { Sum } from "./model";

export type Kind = "count" | "share" | "seconds" | "score";

export interface Figure {
  /** Its name in the API and in the catalogue (`over.figures.…`). */
  key: string;
  kind: Kind;
  /** Which way is better; null where neither is. */
  better: "more" | "less" | null;
  of: (sum: Sum) => number | null;
}

export const FIGURES: readonly Figure[] = [
  { key: "arrivals", kind: "count", better: null, of: (s) => s.service.arrivals },
  { key: "served", kind: "count", better: null, of: (s) => s.service.served },
  { key: "no_show_rate", kind: "share", better: "less", of: (s) => s.service.no_show_rate },
  { key: "average_wait_s", kind: "seconds", better: "less", of: (s) => s.service.average_wait_s },
  { key: "p90_wait_s", kind: "seconds", better: "less", of: (s) => s.service.p90_wait_s },
  { key: "service_level", kind: "share", better: "more", of: (s) => s.service.service_level },
  { key: "average_service_s", kind: "seconds", better: null, of: (s) => s.service.average_service_s },
  { key: "utilisation", kind: "share", better: null, of: (s) => s.service.utilisation },
  { key: "given", kind: "count", better: null, of: (s) => s.ratings.given },
  { key: "active_rate", kind: "share", better: "more", of: (s) => s.ratings.active_rate },
  { key: "satisfied", kind: "share", better: "more", of: (s) => s.ratings.satisfied },
  { key: "bad_rate", kind: "share", better: "less", of: (s) => s.ratings.bad_rate },
  { key: "score", kind: "score", better: "more", of: (s) => s.ratings.score },
];

export const figureOf = (key: string): Figure => FIGURES.find((f) => f.key === key) ?? FIGURES[3]!;

const pad = (n: number) => String(n).padStart(2, "0");

/** A value as people read it: `1,204`, `99.44%`, `12:05`, `9.73`; a dash where it is not known. */
export function written(kind: Kind, value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "—";
  if (kind === "share") return `${(value * 100).toFixed(2)}%`;
  if (kind === "score") return value.toFixed(2);
  if (kind === "count") return Math.round(value).toLocaleString("en-US");
  const s = Math.round(value);
  return s >= 3600 ? `${Math.floor(s / 3600)}:${pad(Math.floor((s % 3600) / 60))}:${pad(s % 60)}` : `${Math.floor(s / 60)}:${pad(s % 60)}`;
}

export interface Change {
  text: string;
  /** `same` also where neither way is better. */
  tone: "good" | "bad" | "same";
}

/** The change from `before`: counts and times in percent, shares in percentage points, scores in points. */
export function change(figure: Figure, now: number | null, before: number | null | undefined): Change | null {
  if (now === null || before === null || before === undefined) return null;
  const points = figure.kind === "share" || figure.kind === "score";
  if (!points && before === 0) return null;
  const by = points ? (now - before) * (figure.kind === "share" ? 100 : 1) : (now / before - 1) * 100;
  const size = Math.abs(by) >= 1000 ? Math.round(Math.abs(by)).toLocaleString("en-US") : Math.abs(by).toFixed(2);
  const text = `${by > 0 ? "+" : by < 0 ? "−" : ""}${size}${figure.kind === "score" ? "" : figure.kind === "share" ? " pp" : "%"}`;
  const tone = figure.better === null || Math.abs(by) < 0.005 ? "same" : (by > 0) === (figure.better === "more") ? "good" : "bad";
  return { text, tone };
}
