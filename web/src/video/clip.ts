// A clip of a camera: what to play, and which moment each of its pictures is. Time within a clip is wall time, gaps included;
// a browser counts it from the clip's first picture (docs/reference/api.md), so that is its zero here.

import { address, ApiProblem, send } from "../api/http";
import type { RecordingGap, Recordings } from "../api/model";

const TIMEOUT_MS = 20_000;

export interface Clip {
  src: string;
  /** The wall time, ms since 1970, at which the browser's time of the clip is zero. */
  zeroMs: number;
}

export interface ClipAsked {
  camera: string;
  fromMs: number;
  toMs: number;
}

const iso = (ms: number) => new Date(Math.round(ms)).toISOString();

/** The address of a clip. */
export function clipAddress({ camera, fromMs, toMs }: ClipAsked): string {
  return address(`/cameras/${encodeURIComponent(camera)}/clip.mp4`, { from: iso(fromMs), to: iso(toMs) });
}

/** Asks for the head of the clip at `src`: its zero, or why there is none (throws ApiProblem). Its bytes are fetched by whoever plays it. */
export async function openClip(src: string, signal?: AbortSignal): Promise<Clip> {
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  let answer: Response;
  try {
    answer = await fetch(src, { headers: { range: "bytes=0-0" }, credentials: "same-origin", signal: signal ? AbortSignal.any([signal, deadline]) : deadline });
  } catch (error) {
    throw new ApiProblem(0, "unreachable", error instanceof Error ? error.message : null, null);
  }
  if (!answer.ok) {
    const said = (await answer.json().catch(() => ({}))) as { title?: string; detail?: string; type?: string };
    throw new ApiProblem(answer.status, said.title ?? `HTTP ${answer.status}`, said.detail ?? null, said.type ?? null);
  }
  await answer.body?.cancel();
  const zeroMs = Date.parse(answer.headers.get("x-clip-from") ?? "");
  if (Number.isNaN(zeroMs)) throw new ApiProblem(answer.status, "a clip without its time", null, null);
  return { src, zeroMs };
}

/** Runs and gaps of a camera in a stretch of time. */
export function recordings(camera: string, fromMs: number, toMs: number): Promise<Recordings> {
  return send<Recordings>("GET", `/cameras/${encodeURIComponent(camera)}/recordings`, { query: { from: iso(fromMs), to: iso(toMs) }, timeoutMs: TIMEOUT_MS });
}

export const toWall = (clip: Pick<Clip, "zeroMs">, seconds: number): number => clip.zeroMs + seconds * 1000;
export const toMedia = (clip: Pick<Clip, "zeroMs">, wallMs: number): number => (wallMs - clip.zeroMs) / 1000;

/** The end of a gap; never, while it goes on. */
export const endOf = (gap: RecordingGap): number => (gap.to === null ? Number.POSITIVE_INFINITY : Date.parse(gap.to));

/** The gap that a moment lies in. */
export function gapAt(gaps: readonly RecordingGap[], wallMs: number): RecordingGap | null {
  return gaps.find((gap) => Date.parse(gap.from) <= wallMs && wallMs < endOf(gap)) ?? null;
}

export interface Stretch {
  /** Part of the whole, 0 to 1. */
  at: number;
  length: number;
}

/** Where a stretch of time lies on a bar from `fromMs` to `toMs`, cut to it; null if it lies outside. */
export function stretchOn(fromMs: number, toMs: number, startMs: number, endMs: number): Stretch | null {
  const whole = toMs - fromMs;
  const [start, end] = [Math.max(fromMs, startMs), Math.min(toMs, endMs)];
  if (!(whole > 0) || end <= start) return null;
  return { at: (start - fromMs) / whole, length: (end - start) / whole };
}
