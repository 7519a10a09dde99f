// The one way to the centre's API: JSON over fetch with a deadline, RFC 9457 problems as errors, and the centre's clock
// read from every answer. Holds no state of its own.

import type { List } from "./model";
import { serverClock } from "../video/serverclock";

const TIMEOUT_MS = 10_000;
const MAX_PAGES = 20;

/** A refusal, in the centre's own words (RFC 9457), or a failure to reach it (`status` 0). */
export class ApiProblem extends Error {
  constructor(
    readonly status: number, readonly title: string, readonly detail: string | null, readonly code: string | null,
    /** What a code's own words need: names, numbers, choices. */
    readonly params: Record<string, unknown> = {},
  ) {
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

/** What a call may have beyond its path. */
export interface Options {
  query?: Query;
  /** Sent as JSON; a Blob is sent as it is, with its own type. */
  body?: unknown;
  /** A 401 is only an error, not the end of the session. */
  quiet?: boolean;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** One call of the API; throws ApiProblem. */
export async function send<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const { query = {}, body, quiet = false, timeoutMs = TIMEOUT_MS, signal } = options;
  const sent = Date.now();
  const deadline = AbortSignal.timeout(timeoutMs);
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(address(path, query), {
      method,
      credentials: "same-origin",
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": body instanceof Blob ? body.type : "application/json" }),
      },
      ...(body === undefined ? {} : { body: body instanceof Blob ? body : JSON.stringify(body) }),
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
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
    const problem = (said ?? {}) as { title?: string; detail?: string; type?: string; code?: string; params?: Record<string, unknown> };
    const title = problem.title ?? `HTTP ${answer.status}`;
    throw new ApiProblem(answer.status, title, problem.detail ?? null, problem.code ?? problem.type ?? null, problem.params ?? {});
  }
  return said as T;
}

export const api = {
  get: <T>(path: string, query: Query = {}) => send<T>("GET", path, { query }),
  /** Like get, but a 401 is only an error, not the end of the session. */
  ask: <T>(path: string) => send<T>("GET", path, { quiet: true }),
  post: <T>(path: string, body?: unknown, quiet = false) => send<T>("POST", path, { body: body ?? {}, quiet }),
  put: <T>(path: string, body: unknown) => send<T>("PUT", path, { body, quiet: true }),
  delete: <T>(path: string) => send<T>("DELETE", path, { quiet: true }),
  /** Every item of a list, following `next`. */
  async all<T>(path: string, query: Query = {}): Promise<T[]> {
    const items: T[] = [];
    let after: string | number | null | undefined = null;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const list: List<T> = await send<List<T>>("GET", path, { query: after === null ? query : { ...query, after } });
      items.push(...list.items);
      after = list.next ?? null;
      if (after === null || list.items.length === 0) break;
    }
    return items;
  },
};
