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

/** Columns (and rows) of the grid. */
export function columnsOf(layout: Layout): number {
  return layout === "1+5" ? 3 : Math.sqrt(Number(layout));
}

/** `main` for the one big tile, `sub` in a grid, `key` above 16. */
export function tierOf(layout: Layout, slot: number): Tier {
  const tiles = tilesOf(layout);
  if (tiles > 16) return "key";
  return tiles === 1 || (layout === "1+5" && slot === 1) ? "main" : "sub";
}

export function pagesOf(items: number, layout: Layout): number {
  return Math.max(1, Math.ceil(items / tilesOf(layout)));
}

/** The page asked for, kept within what there is; counted from 1. */
export function clampPage(page: unknown, items: number, layout: Layout): number {
  const n = Math.trunc(Number(page));
  return Math.min(pagesOf(items, layout), Math.max(1, Number.isFinite(n) ? n : 1));
}

export function pageOf<T>(items: T[], layout: Layout, page: number): T[] {
  const size = tilesOf(layout);
  return items.slice((page - 1) * size, page * size);
}

/** Where the arrow keys lead from a slot (from 0), staying on the wall. */
export function moveFocus(slot: number, key: string, layout: Layout): number {
  const tiles = tilesOf(layout);
  const columns = columnsOf(layout);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  if (step === undefined) return slot;
  const next = slot + (layout === "1+5" && Math.abs(step) > 1 ? Math.sign(step) * 2 : step);
  return next < 0 || next >= tiles ? slot : next;
}
