// Figures as people read them, and which of them the day's chart can show. Pure.

import type { Figures } from "./model";

/** Minutes with one decimal below ten: `4.5`, `12`; a dash for what is unknown. */
export function minutes(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "—";
  const value = seconds / 60;
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

/** Minutes that are minutes already. */
export function minutesOf(value: number | null | undefined): string {
  return value === null || value === undefined ? "—" : minutes(value * 60);
}

/** `83.3%`, a dash for what is unknown. */
export function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? "—" : `${(share * 100).toFixed(1)}%`;
}

/** What the chart of a day can show: how to read it from the figures, and its unit. */
export const MEASURES = {
  arrivals: { of: (f: Figures) => f.arrivals, unit: "count" },
  calls: { of: (f: Figures) => f.calls, unit: "count" },
  served: { of: (f: Figures) => f.served, unit: "count" },
  no_shows: { of: (f: Figures) => f.no_shows, unit: "count" },
  average_wait: { of: (f: Figures) => f.average_wait_s, unit: "minutes" },
  p90_wait: { of: (f: Figures) => f.p90_wait_s, unit: "minutes" },
  average_reach: { of: (f: Figures) => f.average_reach_s, unit: "minutes" },
  average_service: { of: (f: Figures) => f.average_service_s, unit: "minutes" },
  service_level: { of: (f: Figures) => f.service_level, unit: "share" },
} as const;

export type Measure = keyof typeof MEASURES;

/** Every measure, in the order of the list. */
export const MEASURE_NAMES = Object.keys(MEASURES) as Measure[];

/** A measure's value in words. */
export function said(measure: Measure, figures: Figures | null | undefined): string {
  if (!figures) return "—";
  const value = MEASURES[measure].of(figures);
  const unit = MEASURES[measure].unit;
  return unit === "count" ? String(value) : unit === "minutes" ? minutes(value) : percent(value);
}

/** A measure's value on its axis: counts, minutes or per cent. */
export function onAxis(measure: Measure, figures: Figures | null | undefined): number | null {
  if (!figures) return null;
  const value = MEASURES[measure].of(figures);
  if (value === null) return null;
  const unit = MEASURES[measure].unit;
  return unit === "count" ? value : unit === "minutes" ? value / 60 : value * 100;
}

/** Round marks of an axis from zero to at least `most`: at most five, of 1, 2 or 5 times a power of ten. */
export function marks(most: number): number[] {
  const rough = Math.max(most, 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((candidate) => candidate >= rough) ?? rough;
  const whole = Math.max(step, 1);
  return Array.from({ length: Math.ceil(Math.max(most, 1) / whole) + 1 }, (_, n) => n * whole);
}
