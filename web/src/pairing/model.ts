// What the pairing API answers (docs/reference/pairing.md). Shapes only; the same at the hall and at the centre.

export type HealthState = "online" | "silent" | "degraded" | "down" | "unconfirmed" | "unknown" | "unbound";
export type Role = "keypad" | "evaluator" | "display" | "voice" | "ticket" | "printer" | "attendance" | "modem" | "sensor" | "camera";

export interface Health {
  state: HealthState;
  since: string | null;
  why: string | null;
  bad_frames_per_minute: number | null;
  clock_offset_s: number | null;
  last_reading_at: string | null;
}

export interface Hardware {
  kind?: string;
  identity?: string;
  serial?: string | null;
  [more: string]: unknown;
}

/** Where a device is: `kind` and what that kind needs. */
export type Connection = { kind: string } & Record<string, unknown>;

export interface Grades {
  /** Raw byte, two hexadecimal digits → 1–5. */
  map: Record<string, number>;
  confirmed_by: string | null;
  confirmed_at: string | null;
}

export interface Binding {
  hardware: Hardware | null;
  connection: Connection | null;
  from: string;
  to: string | null;
  why: string | null;
  by: string | null;
  visit: string | null;
}

export interface Position {
  id: string;
  window: string | null;
  role: Role | string;
  health: Health;
  hardware: Hardware | null;
  connection: Connection | null;
  bound_at: string | null;
  source: string;
  /** How it can show itself in its test. */
  shows?: string[];
  in_test: boolean;
  grades: Grades | null;
  history?: Binding[];
}

export interface HallWindow {
  id: string;
  number: number;
  name: string;
}

export interface HallAnswer {
  hall: string;
  name: string;
  time: string;
  clock: string;
  centre: { connected: boolean; why: string | null };
  windows: HallWindow[];
  technician: { name: string; door: "hall" | "centre"; until: string | null };
}

export interface Search {
  id: string;
  source: string;
  range: Record<string, unknown>;
  state: "searching" | "listening" | "done" | "stopped" | "failed";
  began_at: string;
  tried: number | null;
  of: number | null;
  why: string | null;
}

export interface Candidate {
  id: string;
  search: string;
  source: string;
  kind: string;
  hardware: Hardware | null;
  connection: Connection | null;
  found_at: string;
  bound_to: string | null;
  identify: string[];
  is_it: boolean | null;
  facts: Record<string, unknown>;
}

export interface Bound {
  position: string;
  candidate: string | null;
  undo: string | null;
  case: BindCase;
  confirmed: boolean;
}

export interface Heard {
  raw: string;
  count: number;
  grade: number | null;
}

/** What is wrong with a stream: a code with its figures, and what to change. */
export type AuditFinding = { severity: "fault" | "warning" | "notice"; code: string; change: ({ setting: string } & Record<string, unknown>) | null } & Record<string, unknown>;

/** One stream of a camera in test. */
export interface StreamAudit {
  role: "main" | "sub";
  url?: string;
  report: {
    verdict: "good" | "usable" | "unfit";
    findings: AuditFinding[];
    measured: {
      codec: string; profile: string | null; width: number; height: number; told_fps: number | null; fps: number | null; kbps: number | null;
      gop: { longest_s: number } | null; clock_offset_s: number | null; seconds: number;
    };
  } | null;
  failed: { stage: string; why: string } | null;
}

export interface Test {
  position: string;
  case_id: string | null;
  began_at: string;
  ended_at: string | null;
  heard: Heard[];
  audit?: StreamAudit[];
}

export const POINTS = ["quantity", "place", "picture", "display", "link"] as const;
export type PointName = (typeof POINTS)[number];
export type PointResult = "pass" | "fail" | "not_applicable";

export interface Point {
  result: PointResult;
  note: string | null;
  photo: string | null;
}

export interface Step {
  n: number;
  at: string;
  who: string;
  kind: string;
  detail: unknown;
  digest: string;
}

export interface Visit {
  id: string;
  technician: string;
  door: "hall" | "centre";
  approver: string | null;
  opened_at: string;
  expires_at: string;
  left_ms: number;
  closed: { at: string; why: "signed" | "left" | "expired" } | null;
  window: string | null;
  searches: Search[];
  candidates: Candidate[];
  bound: Bound[];
  tests: Test[];
  points: Record<PointName, Point | null>;
  signed: { name?: string; hall_name?: string | null; at?: string } | null;
  steps?: Step[];
  chain?: "whole" | "broken";
}

export interface Port {
  port: string;
  label: string | null;
  in_use_by: string[];
  baud: number | null;
  /** False where a line is taken by something that cannot share it. */
  can_listen?: boolean;
}

export interface Source {
  source: string;
  ports?: Port[];
  bauds?: number[];
  suggested?: string[];
  most_addresses?: number;
  http_ports?: number[];
  rtsp_port?: number;
  kinds?: string[];
  /** Profiles that a stated device may speak by. */
  profiles?: Profile[];
}

export interface Profile {
  name: string;
  title: string;
  roles: string[];
  /** Of a keyboard, not of a line. */
  keyboard: boolean;
}

/** A finding of the sniffer: a code with its figures. */
export type SniffFinding = { code: string } & Record<string, unknown>;

/** An unknown evaluator's line, as far as it has been heard. */
export interface Sniffed {
  /** Its line is open. */
  listening: boolean;
  /** The grade whose key is listened for. */
  now: number | null;
  /** How often each key is pressed. */
  wanted: number;
  heard: { grade: number; presses: number; last: string | null }[];
  /** Bursts that came while no key was pressed. */
  quiet: number;
  /** Why nothing more is heard. */
  over: string | null;
  draft: { name: string; toml: string; tests: number; findings: SniffFinding[]; frames: { grade: number; bytes: string }[]; grades: Record<string, number> } | null;
}

export type BindCase = "new" | "replaced" | "moved" | "cloned";

export interface Live {
  n: number;
  at: string;
  position: string | null;
  candidate: string | null;
  kind: string;
  raw?: string;
  grade?: number | null;
  [more: string]: unknown;
}

export interface VisitRow {
  id: string;
  technician: string;
  window: string | null;
  opened_at: string;
  closed: Visit["closed"];
  signed: Visit["signed"] | boolean;
  positions: string[];
}

export interface UndoRow {
  id: string;
  at: string;
  until: string;
  position: string;
  what: string;
  by: string;
  undone_at: string | null;
}

export interface ImportRow {
  line: number;
  fate: "add" | "change" | "same" | "refuse";
  position: string | null;
  problems: { code: string; params?: Record<string, unknown> }[];
}

export interface ImportAnswer {
  dry_run: boolean;
  applied: boolean;
  rows: ImportRow[];
}
