// The one way to the centre's API: JSON over fetch with a deadline, RFC 9457 problems as errors, and the centre's clock
// read from every answer. Holds no state of its own.

import type { List } from "./model";
import { serverClock } from "../video/serverclock";

const TIMEOUT_MS = 10_000;
const MAX_PAGES = 20;

/** A refusal, in the centre's own words (RFC 9457), or a failure to reach it (`status` 0). */
export class ApiProblem extends Error {
  constructor(readonly status: number, readonly title: string, readonly detail: string | null, readonly code: string | null) {
    super(detail ? `${title}: ${detail}` : title);
  }
}

let onSignedOut: () => void = () => undefined;

/** Called when the centre no longer knows the session. */
export function whenSignedOut(act: () => void): void {
  onSignedOut = act;
}

export type Query = Record<string, string | number | null | undefined>;

/** `path` below /api/v1, with its query. */
export function address(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return `/api/v1${path}${text ? `?${text}` : ""}`;
}

async function call<T>(method: string, path: string, query: Query, body?: unknown, quiet = false): Promise<T> {
  const sent = Date.now();
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(address(path, query), {
      method,
      credentials: "same-origin",
      headers: body === undefined ? { accept: "application/json" } : { accept: "application/json", "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await answer.text();
  } catch (error) {
    throw new ApiProblem(0, "unreachable", error instanceof Error ? error.message : null, null);
  }
  serverClock.observe(answer.headers.get("date"), sent, Date.now());
  let said: unknown = null;
  try {
    said = text === "" ? null : JSON.parse(text);
  } catch {
    if (answer.ok) throw new ApiProblem(answer.status, "not JSON", text.slice(0, 120), null);
  }
  if (!answer.ok) {
    if (answer.status === 401 && !quiet) onSignedOut();
    const problem = (said ?? {}) as { title?: string; detail?: string; type?: string };
    throw new ApiProblem(answer.status, problem.title ?? `HTTP ${answer.status}`, problem.detail ?? null, problem.type ?? null);
  }
  return said as T;
}

export const api = {
  get: <T>(path: string, query: Query = {}) => call<T>("GET", path, query),
  /** Like get, but a 401 is only an error, not the end of the session. */
  ask: <T>(path: string) => call<T>("GET", path, {}, undefined, true),
  post: <T>(path: string, body?: unknown, quiet = false) => call<T>("POST", path, {}, body ?? {}, quiet),
  put: <T>(path: string, body: unknown) => call<T>("PUT", path, {}, body, true),
  delete: <T>(path: string) => call<T>("DELETE", path, {}, undefined, true),
  /** Every item of a list, following `next`. */
  async all<T>(path: string, query: Query = {}): Promise<T[]> {
    const items: T[] = [];
    let after: string | number | null | undefined = null;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const list: List<T> = await call<List<T>>("GET", path, after === null ? query : { ...query, after });
      items.push(...list.items);
      after = list.next ?? null;
      if (after === null || list.items.length === 0) break;
    }
    return items;
  },
};
