// The words of attendance.

export default {
  title: "Attendance",
  tab: { day: "Today", month: "Month", requests: "Requests", duty: "On duty", staff: "Staff", shifts: "Shifts and rosters", calendar: "Calendar" },
  hall: "Hall", all_halls: "All halls", date: "Date", month: "Month", today: "Today", search: "Name or number", refresh: "Refresh", print: "Print", updated: "updated at {time}", every: "All",
  previous: "Day before", next: "Day after", halltime: "All times are the halls' own (UTC+8)",
  synced: "Terminals read up to {time}", synced_never: "A terminal was never read: nobody is called absent", synced_old: "Terminal {devices} was read only up to {time}; what is missing later is not judged", no_terminal: "This hall has no attendance terminal",
  clock_off: "The clock of {device} is {n} s off; punches are converted, and the original times are kept", strangers: "{n} numbers punched that are not in the directory: {numbers}",
  empty: "Nobody here. Enter people under Staff, and put them on a shift under Shifts and rosters.", empty_state: "Nobody is in this state",
  state: {
    unassigned: "No shift", rest: "Rest", upcoming: "Not due yet", working: "At work", normal: "Normal", trip: "Duty trip", leave: "Leave", early: "Left early", late: "Late", missing: "Punch missing",
    unsynced: "Not synced", not_in: "Not in", unclear: "Time in doubt", half_absent: "Absent half a day", absent: "Absent",
  },
  hint: {
    unassigned: "On no shift, or no timetable holds that day", rest: "A day off", upcoming: "Work has not begun", working: "At work, by the punches", normal: "All as it should be", trip: "A trip was approved", leave: "Leave was approved",
    early: "Punched out before the end", late: "Punched in after the beginning", missing: "Due, and not on record", unsynced: "The terminal was not read that far: not judged", not_in: "Due, and no punch yet",
    unclear: "The terminal's clock was changed, and the time cannot be known: somebody must look", half_absent: "Half a day's absence by the rules", absent: "The shift is over, every terminal was read, and there is no punch",
  },
  mark: {
    in: "In", out: "Out", on_time: "on time", late: "{n} min late", early: "{n} min early", corrected: "corrected", excused: "excused", upcoming: "not due", open: "no punch yet", unsynced: "not synced",
    missing: "missing", unclear: "in doubt", due: "due {time}",
  },
  kind: { workday: "Workday", make_up: "Make-up workday", weekend: "Weekend", holiday: "Holiday" },
  weekday: ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"],
  week: "{d}",
  column: { name: "Name", number: "Number", unit: "Unit", window: "Window", shift: "Shift", marks: "Punches", state: "Result", hall: "Hall", act: "Action" },
  summary: { due: "Due", there: "In", calling: "To see to", settled: "settled {n} / {all}" },
  figure: {
    due: "Due", worked: "Worked", late: "Late", late_min: "Late min", early: "Early", early_min: "Early min", missing: "Missing", absent: "Absent", leave: "Leave", trip: "Trip", corrected: "Corrected",
    overtime: "Beyond", total: "Total", days: "{n} d", times: "{n} ×", minutes: "{n} min",
  },
  leave: { personal: "Personal", sick: "Sick", annual: "Annual", official: "Official", swap: "Swap", errand: "Errand", other: "Other" },
  half: { forenoon: "forenoon", afternoon: "afternoon" },
  sheet: {
    title: "Attendance of {month}", xlsx: "Export XLSX", csv: "Export CSV", choose: "Choose a hall",
    legend: "√ present   △ late or early   ○ punch missing   × absent   事 病 年 假 调 外 他 leave   公 trip   ？ not synced or in doubt   · not over", period: "Period {from} to {to}",
  },
  person: {
    title: "Attendance of {name}", from: "From", to: "To", punches: "Punches as recorded", punches_hint: "Records are never changed; a correction stands beside them as a request", stamped: "Terminal's time", at: "Hall's time", offset: "Clock offset",
    device: "Terminal", verify: "Verified by", side: "Terminal says", counts: "counts", certainty: { measured: "measured", assumed: "assumed", uncertain: "uncertain" }, or: "or {time}",
    activity: "At the window", sign_ins: "Keypad sign-ins", served: "Called and served", signed: "{from} – {until}", still: "now", none: "Nothing on record", ask: "Correct", ask_leave: "Leave or trip", back: "Back", live: "live", log: "log",
    seconds: "{n} s", verified: { "0": "password", "1": "finger", "2": "card", "15": "face", "25": "palm", other: "other" }, sides: { "0": "in", "1": "out", "2": "break out", "3": "break in", "4": "overtime in", "5": "overtime out", other: "not said" },
    more: "{n} more",
  },
  seat: {
    title: "Seat, as cameras saw it", occupied: "taken", empty: "empty", unknown: "unknown", hint: "Whether somebody sat there, not who; what was not seen is unknown, never empty.",
    why: { starting: "starting", no_picture: "no picture", dark: "too dark", not_learnt: "not learnt yet", other_light: "other light", left_behind: "something left behind", unsure: "cannot tell", nothing_said: "nothing on record", hall_offline: "hall offline", other: "picture at fault" },
  },
  request: {
    title: "Requests", file: "File a request", kind: { punch: "Correction", leave: "Leave", trip: "Duty trip" }, reason: "Reason", reason_hint: "such as: the terminal had no power", mark: "Which punch", marks: ["First (in)", "Second", "Third", "Fourth"],
    leave: "Kind", from: "From", to: "To", send: "Send", cancel: "Cancel", sent: "Sent; somebody else decides", state: { asked: "open", approved: "approved", refused: "refused", withdrawn: "withdrawn" },
    asked: "{who} asked at {time}", decided: "{who} at {time}: {state}", approve: "Approve", refuse: "Refuse", withdraw: "Withdraw", note: "Remark", note_need: "Say why it is refused", own: "Your own: somebody else decides", evidence: "Evidence",
    day: "Punches that day", who: "Person", employee: "Number", open: "{n} open", empty: "No requests", span: "{from} {from_half} to {to} {to_half}", one: "{date} {mark}", hide: "Hide",
  },
  duty: {
    title: "Who is at each window", roster: "Roster", keypad: "Keypad", punch: "Punch", none: "nobody", differs: "the three differ", hint: "Roster, keypad sign-in and punch each speak for themselves", yes: "yes", since: "since {time}", out: "out {time}", window: "Window",
  },
  staff: { title: "Staff", add: "Add somebody", change: "Change", remove: "Remove", name: "Name", number: "Number", unit: "Unit", window: "Usual window", none: "none", save: "Save", saved: "Saved", remove_ask: "Remove {name}? Their punches stay on record.", count: "{n} people" },
  shift: {
    title: "Shifts", add: "New shift", change: "Change", remove: "Retire", name: "Name", scope: "For", version: "version {n} · {who} {time}", period: "Timetable", period_from: "From this date on", period_name: "Name", add_period: "Add a timetable (season)", remove_period: "Remove",
    two: "Two punches", four: "Four punches", due: "due", from: "from", until: "until", in: "In", out: "Out", rules: "Judgement", grace_late: "Grace late (s)", grace_early: "Grace early (s)", half_absent: "Half a day absent from (min)", absent: "Absent from (min)",
    missing: "A missing punch is", missing_missing: "missing", missing_half: "half a day absent", overtime: "Beyond hours from (min)", never: "never", save: "Save as a new version", friday: "Fridays differ", none: "No shifts yet. Make one, then put the hall on it.", hint: "Times are HH:MM, up to 47:59 for the day after (a night ends at 30:00)",
    where: { hall: "This hall", area: "The area's halls" },
  },
  roster: {
    title: "Rosters", everybody: "Everybody without a roster of their own", who: "Who", from: "From this date on", pattern: "Pattern", workdays: "{shift} on workdays", cycle: "Rotation: {days}", exempt: "No attendance", rest: "rest", add: "Set a roster", kind: { workdays: "By the calendar", cycle: "Rotation", exempt: "No attendance" }, shift: "Shift",
    begins: "First day of the rotation", days: "Days of the rotation", add_day: "Add a day", holidays_off: "Off on holidays", save: "Save", remove: "Take back", none: "No rosters yet",
  },
  calendar: {
    title: "Calendar of workdays", national: "Country", source: "By", off: "Off", work: "Make-up workdays", shipped: "came with the program", imported: "{who} imported it at {time}", import: "Import a signed calendar", import_hint: "Choose the .json file that the authority sent, signature and all. An unknown signature is refused.", year: "Year",
    unknown: "The country's arrangement for {year} is not known. An unknown year is not guessed: import it.", unknown_short: "That year's holidays are not known: import its signed calendar first", key: "signed {key}", done: "Imported", bad_file: "This file is no signed calendar",
  },
};
