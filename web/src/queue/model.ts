// What the queue's routes answer (docs/reference/api.md). Shapes only.

import type { WindowState } from "../api/model";

export interface Figures {
  arrivals: number; calls: number; recalls: number; transfers: number; served: number; no_shows: number; skipped: number; unserved: number;
  no_show_rate: number | null; average_wait_s: number | null; p90_wait_s: number | null; service_level: number | null;
  average_reach_s: number | null; average_service_s: number | null; open_s: number; paused_s: number; busy_s: number; utilisation: number | null;
  ratings: number; rating_defaults: number; bad_ratings: number;
}

export interface Thresholds {
  waiting_per_window: number; longest_wait_minutes: number; forecast_p90_minutes: number; pause_minutes: number;
  device_silent_minutes: number; call_burst_seconds: number; service_level_minutes: number; service_level_percent: number;
  windows_planned: number | null;
}

export interface ThresholdsSet {
  thresholds: Thresholds; defaults: Thresholds; set_by: string | null; set_at: string | null; may_change: boolean;
}

export type AlarmKind = "waiting_many" | "longest_wait" | "windows_short" | "forecast_long" | "long_pause" | "device_silent" | "call_burst";

export interface QueueAlarm {
  kind: AlarmKind; business: string | null; window: string | null; device: string | null; value: number; threshold: number;
}

export interface QueueNow {
  hall: string; at: string; updated_at: string | null; connected: boolean; state: "in_hand" | "attention" | "closed";
  waiting: number; longest_wait_s: number | null; average_wait_s: number | null;
  businesses: { business: string; waiting: number; longest_wait_s: number | null; average_wait_s: number | null; windows_open: number }[];
  windows_open: number; windows_paused: number; windows_total: number; windows_due: number | null; windows_due_by: "plan" | "need" | null;
  windows: WindowState[];
  pauses: { window: string; number: number; name: string; since: string | null; seconds: number | null; reason: string | null }[];
  devices: { total: number; well: number; faults: { id: string; window: string | null; role: string; health: string; why: string | null; since: string }[] };
  today: Figures; alarms: QueueAlarm[]; thresholds: Thresholds;
}

export interface Compared { now: Figures; before: Figures | null }

export interface Quarters {
  hall: string; date: string; against: string | null; at: string; service_level_minutes: number;
  items: (Compared & { quarter: number; from: string })[]; total: Compared; businesses: (Compared & { business: string })[];
}

export interface Ahead { at: string; p50_minutes: number | null; p90_minutes: number | null; arrivals: number; windows_needed: number | null }

export interface BusinessAhead { business: string; waiting: number; p50_minutes: number | null; p90_minutes: number | null; occupation_minutes: number | null }

export interface Forecast {
  mae_minutes: number | null; p90_coverage: number | null; scored_date: string | null; scored_tickets: number | null; at: string;
  method: "queue_length" | "delays" | null; windows_working: number; windows_needed: number | null; next_hour: Ahead[]; businesses: BusinessAhead[];
  what_if: { extra_windows: number; next_hour: Ahead[]; businesses: BusinessAhead[] } | null; alarms: QueueAlarm[];
}
