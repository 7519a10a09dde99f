// What the supervisor's routes answer (docs/reference/api.md). Shapes only.

export type HallState = "absent" | "closed" | "good" | "attention" | "bad" | "offline";

export interface Figures {
  halls: number;
  halls_online: number;
  windows: number;
  windows_open: number;
  windows_paused: number;
  waiting: number;
  waiting_since: string | null;
  cameras: number;
  cameras_live: number;
  window_events: number;
  tagged: number;
  wrong: number;
}

export interface HallCell {
  id: string;
  name: string;
  state: HallState;
  updated_at: string | null;
  figures: Figures;
}

export interface Child {
  id: string;
  name: string;
  kind: "area" | "hall";
  state: HallState;
  figures: Figures;
  halls: HallCell[];
}

export interface Wrong {
  kind: string;
  risk: number;
  since: string | null;
  hall: string;
  window: string | null;
  device: string | null;
  case_id: string | null;
  grade: number | null;
  why: string | null;
}

/** `GET /areas/{area}/overview` */
export interface Overview {
  id: string;
  name: string;
  kind: "area" | "hall";
  way: { id: string; name: string }[];
  updated_at: string;
  figures: Figures;
  day: string;
  today: Sum;
  children: Child[];
  wrong: Wrong[];
  wrong_total: number;
}

/** Figures of the service of some place and time; what is unknown is null. */
export interface ServiceFigures {
  arrivals: number;
  calls: number;
  served: number;
  no_shows: number;
  no_show_rate: number | null;
  average_wait_s: number | null;
  p90_wait_s: number | null;
  service_level: number | null;
  average_reach_s: number | null;
  average_service_s: number | null;
  utilisation: number | null;
}

export interface RatingFigures {
  /** By grade from 1 to 5. */
  grades: number[];
  given: number;
  defaults: number;
  unsolicited: number;
  served: number;
  active_rate: number | null;
  satisfied: number | null;
  satisfied_with_defaults: number | null;
  bad_rate: number | null;
  score: number | null;
}

export interface Sum {
  service: ServiceFigures;
  ratings: RatingFigures;
}

export interface ReportRow {
  id: string;
  name: string;
  kind: "area" | "hall";
  now: Sum;
  before: Sum | null;
  year_ago: Sum | null;
}

export type Length = "day" | "week" | "month" | "quarter" | "year";

export interface Days {
  from: string;
  to: string;
}

/** `GET /areas/{area}/report` */
export interface Report {
  id: string;
  name: string;
  period: Length;
  days: Days;
  running: boolean;
  before: Days;
  year_ago: Days;
  updated_at: string;
  total: ReportRow;
  rows: ReportRow[];
  parts: { from: string; sum: Sum }[];
}

export interface HallCourse {
  id: string;
  name: string;
  total: number | null;
  values: (number | null)[];
}

/** `GET /areas/{area}/comparison` */
export interface Comparison {
  figure: string;
  days: Days;
  updated_at: string;
  parts: string[];
  halls: HallCourse[];
  all: HallCourse;
}
