// What the centre's API answers (docs/reference/api.md). Shapes only.

export type Role = "administrator" | "supervisor" | "hall_manager" | "hr" | "technician";

export interface User {
  name: string;
  role: Role;
  /** The area, or for the scope of a hall the hall, of their first role. */
  area: string;
  area_name?: string;
  must_change?: boolean;
}

export interface List<T> {
  items: T[];
  next?: string | number | null;
}

export interface Counts {
  halls?: number;
  windows?: number;
  cameras?: number;
  cameras_live?: number;
  alarms?: number;
}

export interface Area {
  id: string;
  parent: string | null;
  name: string;
  level: string;
  counts?: Counts;
}

export interface Hall {
  id: string;
  name: string;
  area: string;
  counts?: Counts;
}

export type WindowStateName = "closed" | "idle" | "called" | "serving" | "rating" | "paused";

export interface WindowState {
  window: string;
  hall: string;
  number?: number | string | null;
  name: string;
  state: WindowStateName;
  ticket: string | null;
  case_id: string | null;
  clerk: { number: string; name: string | null } | null;
  waiting: number | null;
  last_rating: { grade: number; at: string } | null;
  since: string | null;
  updated_at: string | null;
  pause_reason?: string | null;
}

export interface HallWindow extends WindowState {
  id: string;
}

export interface Camera {
  id: string;
  hall: string;
  window: string | null;
  name: string;
  kind: "window" | "security";
  state: string;
  why: string | null;
}

export type CaseStateName = "waiting" | "called" | "serving" | "rated" | "closed";

export interface Case {
  case_id: string;
  state: CaseStateName;
  opened_at: string | null;
  closed_at: string | null;
  hall: string;
  window: string | null;
  ticket: string | null;
  clerk: string | null;
  clerk_name: string | null;
  grade: number | null;
  official_no: string | null;
  business?: string | null;
  ended_by?: string | null;
  accurate?: boolean;
}

export interface CaseEvent {
  seq: number;
  kind: string;
  at: string;
  window?: string | null;
  device?: string | null;
  clock?: string;
  body: Record<string, unknown>;
}

export interface CaseFile extends Case {
  events: CaseEvent[];
}

export interface Coverage {
  window_events: number;
  tagged: number;
  coverage: number | null;
}

export interface CoverageAnswer {
  items: (Coverage & { hall: string })[];
  total: Coverage;
}

export interface FleetNode {
  id: string;
  hall: string;
  hall_name?: string;
  version: string;
  last_seen: string | null;
  connected: boolean;
  /** Events that the centre has not committed; null while it is not connected. */
  outbox_depth: number | null;
  /** How far its clock is ahead of the centre's. */
  clock_offset_ms: number | null;
  certificate_expires_at: string | null;
  revoked: boolean;
  quarantined: string | null;
  /** Why, in plain words. */
  alarm: string | null;
}

export interface PairingCode {
  code: string;
  pin: string;
  expires_at: string;
  command?: string | null;
}
