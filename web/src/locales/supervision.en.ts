// The supervisor's pages: overview, ratings, comparison, reports.

export default {
  overview: "Overview",
  state: { absent: "Not set up", closed: "Closed", good: "Good", attention: "Look", bad: "Fault", offline: "Offline" },
  figure: {
    waiting: "Waiting now", longest: "longest {span}", nobody: "nobody waits", windows: "Windows open", paused: "{n} on a break", halls: "Halls online", halls_off: "{n} offline or not set up", all_on: "all online",
    cameras: "Cameras live", cameras_off: "{n} without picture", coverage: "Events with a case", coverage_of: "{tagged} of {all} window events", wrong: "Wrong now", none_wrong: "nothing is wrong", of: "{n} / {all}",
  },
  map: "Areas and halls", legend: "Legend", halls_n: "{n} halls", windows_n: "{open}/{all} windows", waiting_n: "{n} waiting", wrong_n: "{n} wrong", no_halls: "No halls in this area yet", windows_of: "Windows", to_wall: "See the pictures", updated: "as of {time}", stale: "No longer updated; last at {time}",
  open: "Look at {name}",
  wrong: {
    title: "Wrong now", none: "Nothing is wrong", none_hint: "Every hall is online; pictures, devices and waits are as they should be", more: "{n} more: look into the areas below", since: "for {span}", severe: "Urgent", serious: "Serious", mild: "Notice",
    kind: {
      node: { quarantined: "Node set apart", offline: "Hall offline" }, camera: { down: "Camera without picture" }, picture: { fault: "Picture fault" }, rating: { bad: "Bad rating" },
      device: { down: "Device down", silent: "Device silent" }, wait: { long: "Long wait" }, window: { paused: "Window paused long" },
    },
  },
  role: { keypad: "Keypad", evaluator: "Evaluator", ticket: "Ticket machine", attendance: "Attendance terminal", display: "Window display", voice: "Voice", printer: "Printer" },
  pick_area: "Choose an area or hall",
  period: { title: "Period", day: "Day", week: "Week", month: "Month", quarter: "Quarter", year: "Year", back: "The one before", on: "The next", pick: "Pick a day" },
  export: { title: "Export", xlsx: "Excel", csv: "CSV" },
  chart: { top: "highest {value}", none: "no data", table: "Table" },
  figures: {
    arrivals: "Tickets taken", served: "Served", no_show_rate: "No-shows", average_wait_s: "Average wait", p90_wait_s: "P90 wait", service_level: "Called within 15 min", average_service_s: "Average service",
    utilisation: "Utilisation", given: "Ratings", active_rate: "Active rate", satisfied: "Satisfied (active)", bad_rate: "Bad ratings", score: "Score",
  },
  report: {
    title: "Reports", kind: { day: "day", week: "week", month: "month", quarter: "quarter", year: "year" }, days: "{from} to {to}", running: "not over: compared with as many days", before: "MoM", year_ago: "YoY", print: "Print",
    by_place: "By place", by_child: "Areas below", by_hall: "Every hall", against: "small: against the period before", place: "Area or hall", sum: "Total", idle: "No business in this period:",
  },
  compare: { title: "Halls compared", figure: "Figure", none: "No data in this time" },
  ratings: {
    title: "Ratings", grades: "Grades (as given)", defaults: "Defaults (unanswered)", defaults_hint: "nobody pressed; not in satisfaction", unsolicited: "Presses not counted", unsolicited_hint: "uninvited or repeated", given_of: "{given} ratings / {served} served",
    with_defaults: "with defaults {rate}", bad_n: "{n} bad ratings", points: "10/8/6/3/0 points", apart: "apart", by_hall: "By hall", list: { bad: "Bad ratings", unsolicited: "Presses not counted", all: "All ratings" }, at: "When", none: "No such ratings",
  },
  cases: {
    find: "Find", find_hint: "Case ID, official number or ticket", narrow: "Narrow down", from: "From", until: "to", clerk: "Clerk no.", any: "any", served: "Served for", clear: "Clear", sort_hint: "Choose a hall and at most 31 days to sort by this",
    served_is: { brief: "under 1 min", ten: "10 min or more", long: "30 min or more", hour: "1 h or more" },
  },
  numbers: {
    title: "Official numbers", hint: "Upload the business system's CSV (UTF-8 or GBK): numbers are bound by case ID, or by hall, date and ticket. Try first, then bind; every row that does not match says why.", file: "CSV file", source: "Business system", replace: "Replace different numbers",
    try: "Try", bind: "Bind", busy: "Working…", would: "What would be done (nothing is changed)", did: "What was done", row: "Row", why: "Why", about: "About",
    of: { rows: "Rows", bound: "Bound", replaced: "Replaced", unchanged: "Bound already", conflicts: "Conflicts", unknown: "No such case", unreadable: "Unreadable" },
    whys: { unreadable: "Unreadable", unknown: "No such case", several: "Ticket twice that day", conflict: "Has another number" },
    one: "Bind the official number", number: "Official number", taken: "This case has another number; confirm to replace it", save: "Save", saved: "Bound",
  },
  hooks: {
    title: "Webhooks", hint: "Events are sent on to other systems in order and signed; a receiver that fails is tried again with growing waits, and nothing is lost.", add: "Add", none: "No webhooks yet", name: "Name", url: "Address", kinds: "Kinds of events", all: "all", scope: "Scope", ca: "Who issued the receiver's certificate (PEM)",
    secret: "The key of its signatures, shown this once:", delivered: "Delivered", behind: "To be sent", last_ok: "Last success", last_error: "Last failure", next: "again at {time}", change: "Change", off: "Switch off", on: "Switch on", renew: "New key", remove: "Remove",
    remove_text: "Nothing is sent to “{name}” any more; the events stay in the centre.", state: { good: "Good", failing: "Trying again", off: "Off", given_up: "Given up" },
  },
  today: { title: "Today", more: "The day's report" },
};
