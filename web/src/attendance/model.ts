// What the centre says of attendance, as docs/reference/attendance.md has it, and the little that pages decide themselves: the
// halls' time, and what calls for somebody first.

import { ref } from "vue";

export type DayState =
  | "unassigned" | "rest" | "upcoming" | "working" | "normal" | "trip" | "leave" | "early" | "late" | "missing" | "unsynced" | "not_in" | "unclear"
  | "half_absent" | "absent";
export type MarkState = "on_time" | "late" | "early" | "corrected" | "excused" | "upcoming" | "open" | "unsynced" | "missing" | "unclear";
export type DayKind = "workday" | "make_up" | "weekend" | "holiday";
export type LeaveKind = "personal" | "sick" | "annual" | "official" | "swap" | "errand" | "other";

export interface Mark {
  side: "in" | "out";
  due: string;
  from: string;
  until: string;
  state: MarkState;
  at: string | null;
  minutes: number;
  request: string | null;
}

export interface Figures {
  due_halves: number;
  worked_halves: number;
  late: number;
  late_min: number;
  early: number;
  early_min: number;
  missing: number;
  absent_halves: number;
  trip_halves: number;
  corrected: number;
  overtime_min: number;
}

export interface DayIs { kind: DayKind; name: string | null }
export interface ShiftOn { id: string; name: string; version: number; timetable: string }

export interface DayRow {
  hall: string;
  employee: string;
  name: string;
  unit: string | null;
  window: string | null;
  date: string;
  calendar: DayIs;
  shift: ShiftOn | null;
  state: DayState;
  marks: Mark[];
  figures: Figures;
  settled: boolean;
}

export interface Terminal { device: string; hall: string; health: string; synced_to: string | null; clock_offset: number | null }

export interface HallDay {
  hall: string;
  name: string;
  zone: string;
  synced_to: string | null;
  terminals: Terminal[];
  calendar: [string, string][];
  strangers: string[];
}

export interface DayPage {
  items: DayRow[];
  next: string | null;
  date: string;
  as_of: string;
  halls: HallDay[];
  counts: Partial<Record<DayState, number>>;
}

export interface MonthRow {
  employee: string;
  name: string;
  unit: string | null;
  window: string | null;
  days: { state: DayState; symbol: string; settled: boolean }[];
  figures: Figures;
  leave_halves: Partial<Record<LeaveKind, number>>;
}

export interface MonthPage {
  hall: string;
  name: string;
  zone: string;
  month: string;
  dates: { date: string; calendar: DayIs }[];
  items: MonthRow[];
  synced_to: string | null;
  as_of: string;
}

export interface Punch {
  device: string;
  stamped_at: string;
  at: string;
  offset: number;
  certainty: "measured" | "assumed" | "uncertain";
  or: string[];
  verify: number;
  state: number;
  live: boolean;
  counts: boolean;
}

export interface SignIn { window: string; from: string; until: string | null }
export interface Served { case_id: string; window: string | null; ticket: string; called_at: string; ended_at: string | null }

export interface PersonPage {
  hall: string;
  hall_name: string;
  zone: string;
  employee: string;
  name: string;
  unit: string | null;
  window: string | null;
  days: DayRow[];
  punches: Punch[];
  sign_ins: SignIn[];
  served: Served[];
  synced_to: string | null;
  as_of: string;
}

export type HalfName = "forenoon" | "afternoon";
export type Wanted =
  | { kind: "punch"; date: string; mark: number }
  | { kind: "leave"; leave: LeaveKind; from: string; from_half: HalfName; to: string; to_half: HalfName }
  | { kind: "trip"; from: string; from_half: HalfName; to: string; to_half: HalfName };

export interface RequestRow {
  id: string;
  hall: string;
  employee: string;
  name: string | null;
  wanted: Wanted;
  reason: string;
  asked_by: string;
  asked_at: string;
  state: "asked" | "approved" | "refused" | "withdrawn";
  decided_by: string | null;
  decided_at: string | null;
  note: string | null;
  mine_to_decide: boolean;
}

/** A stretch of time in which a window's seat stayed as it was. */
export interface SeatSpell { window: string; seat: "occupied" | "empty" | "unknown"; why: string | null; from: string; until: string }
export interface RequestEvidence { request: RequestRow; day: DayRow | null; sign_ins: SignIn[]; served: Served[]; seats: SeatSpell[]; due: string | null; zone: string }

/** The spell that holds `at`. */
export function spellAt(spells: SeatSpell[], at: string | null): SeatSpell | null {
  if (at === null) return null;
  const ms = Date.parse(at);
  return spells.find((s) => Date.parse(s.from) <= ms && ms < Date.parse(s.until)) ?? null;
}

export interface OnDuty {
  employee: string;
  name: string | null;
  rostered: boolean;
  signed_in: string | null;
  punched_in: string | null;
  punched_out: string | null;
  state: DayState | null;
}

export interface DutyPage {
  items: { window: string; number: number; name: string; people: OnDuty[] }[];
  synced_to: string | null;
  as_of: string;
}

export interface TimeMark { due: string; from: string; until: string }
export interface Span { start: TimeMark; end: TimeMark }

export interface Rules {
  grace_late_s: number;
  grace_early_s: number;
  half_absent_min: number | null;
  absent_min: number | null;
  missing: "missing" | "half_absent";
  overtime_from_min: number | null;
}

export interface Period { from: string; name: string; spans: Span[]; other_days: { weekdays: number[]; spans: Span[] }[]; rules: Rules }
export interface Shift { name: string; periods: Period[] }
export interface ShiftRow { id: string; scope: string; version: number; changed_by: string; changed_at: string; mine: boolean; shift: Shift }

export type Pattern =
  | { kind: "workdays"; shift: string }
  | { kind: "cycle"; begins: string; days: (string | null)[]; holidays_off: boolean }
  | { kind: "exempt" };

export interface RosterRow { hall: string; employee: string | null; name: string | null; from: string; pattern: Pattern; changed_by: string; changed_at: string }
export interface StaffRow { hall: string; number: string; name: string; unit: string | null; window: string | null; window_name: string | null }

export interface CalendarRow {
  layer: string;
  year: number;
  source: string;
  off: { date: string; name: string }[];
  work: { date: string; name: string }[];
  key: string | null;
  imported_by: string | null;
  imported_at: string | null;
}

/** What calls for somebody, the most urgent first. */
export const ORDER: DayState[] = [
  "absent", "half_absent", "not_in", "missing", "unclear", "late", "early", "unsynced", "unassigned", "working", "upcoming", "trip", "leave", "normal", "rest",
];

/** States in which somebody must do something, or ask. */
export const CALLING: DayState[] = ["absent", "half_absent", "not_in", "missing", "unclear", "late", "early"];

export function byUrgency(rows: DayRow[]): DayRow[] {
  const place = (row: DayRow) => ORDER.indexOf(row.state);
  return [...rows].sort((a, b) => place(a) - place(b) || a.hall.localeCompare(b.hall) || a.employee.localeCompare(b.employee));
}

/** The zone of the hall that is looked at: its clocks are shown, wherever the browser is. */
const zone = ref("Asia/Shanghai");
const formats = new Map<string, Intl.DateTimeFormat>();

/** From now on times are those of a hall in this zone, unless another is named. */
export function showZone(name: string | undefined): void {
  if (name) zone.value = name;
}

function format(name: string): Intl.DateTimeFormat {
  const known = formats.get(name);
  if (known) return known;
  const made = new Intl.DateTimeFormat("en-GB", {
    timeZone: name, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });
  formats.set(name, made);
  return made;
}

function split(at: string | number, of: string | undefined): Record<string, string> {
  return Object.fromEntries(format(of ?? zone.value).formatToParts(new Date(at)).map((part) => [part.type, part.value]));
}

/** `09:05`, or `09:05:07`; a time of another date than `date` stands with its day: `25 06:03`. */
export function hallClock(at: string | number | null | undefined, seconds = false, date?: string, of?: string): string {
  if (at === null || at === undefined || Number.isNaN(new Date(at).getTime())) return "—";
  const p = split(at, of);
  const time = `${p["hour"]}:${p["minute"]}${seconds ? `:${p["second"]}` : ""}`;
  return date !== undefined && hallDate(at, of) !== date ? `${p["day"]} ${time}` : time;
}

/** `2026-11-24`. */
export function hallDate(at: string | number, of?: string): string {
  const p = split(at, of);
  return `${p["year"]}-${p["month"]}-${p["day"]}`;
}

/** The date `days` after `date`. */
export function shifted(date: string, days: number): string {
  const d = new Date(`${date}T12:00:00Z`);
  d.setUTCDate(d.getUTCDate() + days);
  return d.toISOString().slice(0, 10);
}

/** 0 Monday to 6 Sunday. */
export function weekday(date: string): number {
  return (new Date(`${date}T12:00:00Z`).getUTCDay() + 6) % 7;
}

/** Halves as days: `1.5`; nothing is a dash. */
export function days(halves: number | undefined): string {
  return halves ? String(halves / 2) : "—";
}

/** Whether what a hall's terminals have told is so old that people must know, ms. */
export const STALE_MS = 20 * 60_000;
