// What the centre's API answers (docs/reference/api.md). Shapes only.

export type Role = "administrator" | "supervisor" | "hall_manager" | "hr" | "technician";

export interface User {
  name: string;
  role: Role;
  /** The area, or for the scope of a hall the hall, of their first role. */
  area: string;
  area_name?: string;
  must_change?: boolean;
  grants?: Grant[];
  second_factor?: boolean;
  /** One of their roles must have it. */
  second_factor_required?: boolean;
}

/** A role, and whether its people must have a second factor. */
export interface FactorRole {
  role: Role;
  required: boolean;
  people: number;
  without: number;
}

export interface Grant {
  role: Role;
  /** An area or a hall. */
  scope: string;
}

export interface Account {
  name: string;
  grants: Grant[];
  must_change: boolean;
  disabled: boolean;
  second_factor: boolean;
  created_at: string;
  signed_in_at: string | null;
}

export interface SessionRow {
  id: string;
  user: string;
  address: string;
  agent: string;
  created_at: string;
  seen_at: string;
  current: boolean;
}

export interface AuditRow {
  n: number;
  at: string;
  who: string;
  action: string;
  object: string;
  address: string;
  detail: string;
}

export interface AuditState {
  rows: number;
  hash: string | null;
  signed: number | null;
  signed_at: string | null;
  key: string | null;
  actions: string[];
}

export interface HallSetup {
  time_zone: string;
  windows: { id: string; number: number; name: string; businesses: string[] }[];
  businesses: string[];
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
  /** By which its days begin. */
  time_zone?: string;
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
  /** When the ticket that waits longest for this window was taken. */
  waiting_since?: string | null;
  /** The window's seat, where a camera watches one. */
  seat?: SeatSeen | null;
  /** Faults of its cameras' pictures that stand. */
  picture_faults?: PictureFault[];
}

export interface SeatSeen {
  /** `occupied`, `empty` or `unknown`, which is never to be read as empty. */
  seat: string;
  why: string | null;
  since: string;
  camera: string;
  still: string | null;
}

export interface PictureFault {
  camera: string;
  /** `black frozen blocked out_of_focus moved`. */
  fault: string;
  since: string;
  still: string | null;
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
  called_at?: string | null;
  started_at?: string | null;
  ended_at?: string | null;
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

/** A stretch of a camera of which there is footage. */
export interface RecordingRun {
  from: string;
  to: string;
}

/** A stretch of which there is none, and why. */
export interface RecordingGap {
  from: string;
  /** None while it goes on. */
  to: string | null;
  code: string;
  why: string | null;
}

export interface Recordings {
  /** `hall`: what lies on its disk now; `centre`: what the centre was told until `as_of`. */
  source: "hall" | "centre";
  as_of: string | null;
  runs: RecordingRun[];
  gaps: RecordingGap[];
}

export interface CaseTimelineEvent {
  at: string;
  kind: string;
  /** Part of the case; else something that went wrong around it. */
  of_case: boolean;
  window: string | null;
  device: string | null;
  body: Record<string, unknown> | null;
  clock: string;
}

/** A camera that looked at a case. */
export interface CaseCamera extends Recordings {
  camera: string;
  name: string;
  window: string;
  from: string;
  to: string;
  clip_url: string;
  /** None where there is no clip now; `why` says why. */
  clip: { from: string; to: string } | null;
  /** Who gives the clip: the hall, or the centre, which kept it. */
  clip_source: "hall" | "centre" | null;
  why: string | null;
  /** What the centre keeps of it, or was to keep. */
  kept: KeptClip | null;
  /** What was recorded and cannot be seen now. */
  absent: { from: string; to: string; why: "in_hall" | "dropped" }[];
}

/** A clip at the centre. */
export interface KeptClip {
  camera: string;
  state: "asked" | "kept" | "failed" | "dropped";
  why: string | null;
  asked_by: string;
  asked_at: string;
  kept_at: string | null;
  from: string | null;
  to: string | null;
  bytes: number | null;
}

/** A still of a key moment, kept at the centre. */
export interface KeptStill {
  id: string;
  camera: string;
  at: string;
  shows: string;
  state: "wanted" | "kept" | "missing" | "dropped";
  why: string | null;
  taken_at: string | null;
  url: string | null;
}

/** `GET /cases/{case_id}/timeline` */
export interface CaseReplay {
  case: Case;
  from: string;
  to: string;
  clock: string;
  events: CaseTimelineEvent[];
  cameras: CaseCamera[];
  hall: { online: boolean; last_heard: string | null };
  stills: KeptStill[];
}

/** Something that is wrong at a hall. */
export interface Trouble {
  problem: string;
  /** 1 a whole hall, 2 does not work, 3 works badly, 4 to be seen to. */
  urgency: number;
  hall: string;
  hall_name: string;
  window: string | null;
  device: string;
  role: string;
  hardware: string | null;
  since: string | null;
  why: string | null;
  bring: string[];
}

export interface Maintenance {
  as_of: string;
  items: Trouble[];
  next: string | null;
  urgencies: [number, number, number, number];
  bring: { kind: string; hardware: string | null; count: number; halls: string[] }[];
  /** `faulty` is null while nothing is known. */
  halls: { hall: string; name: string; connected: boolean; devices: number; faulty: number | null }[];
}
