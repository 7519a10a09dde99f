// Layouts and pages of the wall, as pure functions: how many tiles, which tier each asks for, which cameras are on a page.

import type { Tier } from "../video/frame";

export const LAYOUTS = ["1", "4", "9", "16", "25", "36", "64", "1+5"] as const;
export type Layout = (typeof LAYOUTS)[number];

export function asLayout(text: unknown): Layout {
  return LAYOUTS.find((l) => l === text) ?? "16";
}

export function tilesOf(layout: Layout): number {
  return layout === "1+5" ? 6 : Number(layout);
}

export interface Shape {
  columns: number;
  rows: number;
}

/** Fields wider than this have more columns than rows: two screens side by side. */
const WIDE = 2.4;

/**
 * Columns and rows of the grid for a field of this width ÷ height: those that give the largest 16:9 tiles. An ordinary
 * field has as many columns as rows.
 */
export function shapeOf(layout: Layout, aspect = 16 / 9): Shape {
  const big = layout === "1+5";
  const side = big ? 3 : Math.sqrt(Number(layout));
  if (!(aspect > WIDE)) return { columns: side, rows: side };
  // The big tile takes the places of four.
  const places = tilesOf(layout) + (big ? 3 : 0);
  let best = { columns: side, rows: side };
  const width = ({ columns, rows }: Shape) => Math.min(aspect / columns, 16 / 9 / rows);
  for (let rows = big ? 2 : 1; rows < side; rows += 1) {
    const shape = { columns: Math.ceil(places / rows), rows };
    if (width(shape) > width(best) + 1e-9) best = shape;
    else if (Math.abs(width(shape) - width(best)) < 1e-9 && shape.columns > best.columns) best = shape;
  }
  return best;
}

/** `main` for the one big tile, `sub` in a grid, `key` above 16. */
export function tierOf(layout: Layout, slot: number): Tier {
  const tiles = tilesOf(layout);
  if (tiles > 16) return "key";
  return tiles === 1 || (layout === "1+5" && slot === 1) ? "main" : "sub";
}

/** The page asked for, kept within what there is; counted from 1. */
export function clampPage(page: unknown, pages: number): number {
  const n = Math.trunc(Number(page));
  return Math.min(pages, Math.max(1, Number.isFinite(n) ? n : 1));
}

/** Where the arrow keys lead from a slot (from 0), staying among the wall's `tiles`. */
export function moveFocus(slot: number, key: string, layout: Layout, columns: number): number {
  const tiles = tilesOf(layout);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  if (step === undefined) return slot;
  const next = slot + (layout === "1+5" && Math.abs(step) > 1 ? Math.sign(step) * 2 : step);
  return next < 0 || next >= tiles ? slot : next;
}
