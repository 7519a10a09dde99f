// Taking a ticket at a kiosk: what is offered, what was given, and what is said when no slip came. No picture of it here.

export interface Offered {
  hall: string;
  businesses: string[];
  printers: { printer: string; ready: boolean; code: string | null; why: string | null }[];
}

export interface Given {
  case: string;
  ticket: string;
  business: string;
  waiting: number;
  at: string;
  printer: string;
  printed: boolean;
  /** Why not, or what stopped the slip in between. */
  code: string | null;
  why: string | null;
}

/** What the kiosk shows. */
export type Shown =
  | { state: "offer"; trouble: string | null }
  | { state: "printing"; business: string }
  | { state: "given"; given: Given }
  | { state: "refused"; code: string };

/** Reasons that have words of their own; any other is "unknown". */
export const REASONS = ["paper_out", "cover_open", "cutter", "unrecoverable", "mechanical", "cooling_down", "offline", "partial", "down", "busy", "too-many", "other-machine", "no-printer", "not-a-kiosk", "lost", "unknown"] as const;
export type Reason = (typeof REASONS)[number];

export function reason(code: string | null): Reason {
  return REASONS.find((known) => known === code) ?? "unknown";
}

/** Why no ticket can be taken now: the first printer's trouble when none is ready; null when one is. */
export function trouble(offered: Offered): string | null {
  if (offered.printers.some((printer) => printer.ready)) return null;
  return offered.printers[0]?.code ?? "no-printer";
}

/** What an answer to a wish shows. A refusal of the printer's says the printer's own reason. */
export function after(status: number, body: unknown): Shown {
  if (status === 201) return { state: "given", given: body as Given };
  const { code, params } = (body ?? {}) as { code?: string; params?: { code?: string } };
  return { state: "refused", code: (code === "printer" ? params?.code : code) ?? "unknown" };
}

/** How long an answer stays before the next person's offer, milliseconds: what was not printed must be written down. */
export function stays(shown: Shown): number | null {
  if (shown.state === "given") return shown.given.printed ? 8_000 : 60_000;
  return shown.state === "refused" ? 10_000 : null;
}

const PATIENCE = 30_000;

async function ask(path: string, init?: RequestInit): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(path, { ...init, headers: { "content-type": "application/json" }, signal: AbortSignal.timeout(PATIENCE) });
  return { status: answer.status, body: await answer.json().catch(() => null) };
}

export async function offered(): Promise<Offered | Shown> {
  try {
    const { status, body } = await ask("/api/v1/tickets");
    return status === 200 ? (body as Offered) : after(status, body);
  } catch {
    return { state: "refused", code: "lost" };
  }
}

/** Takes a ticket, or prints one again. A wish whose answer was lost is not repeated by itself: it may have been heard. */
export async function wish(path: string, body: unknown): Promise<Shown> {
  try {
    const answer = await ask(path, { method: "POST", body: JSON.stringify(body) });
    return after(answer.status, answer.body);
  } catch {
    return { state: "refused", code: "lost" };
  }
}
