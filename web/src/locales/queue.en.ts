// The words of the queue's page. Same keys as queue.zh-CN.

export default {
  title: "Queue", hall: "Hall", last_event: "last event {time}", away: "The hall is not connected to the centre; this is how it was at {time}", min: "min", upto: "up to {n} min", unnamed: "(no business named)",
  verdict: { in_hand: "In hand", attention: "Needs attention", closed: "No window open", count: "{n} beyond thresholds" },
  key: { waiting: "Waiting", longest: "Longest wait", average: "Average wait", open: "Windows open ÷ due", soon: "Ticket taken now waits", level: "Called within {n} min" },
  alarm: {
    waiting_many: "{where}: {value} people waiting for each open window (threshold {limit})", longest_wait: "{where}: somebody has waited {value} min (threshold {limit} min)",
    windows_short: "{value} windows open, {limit} should be", forecast_long: "Within half an hour waits may reach {value} min (threshold {limit} min)",
    long_pause: "{where} has paused for {value} min (threshold {limit} min)", device_silent: "Device {device} has been silent for {value} min (threshold {limit} min)",
    call_burst: "{where}: two calls only {value} s apart (threshold {limit} s)",
  },
  by_business: "Waiting by business", business: "Business", all_businesses: "All businesses", open: "Windows", no_business: "No businesses are set up for this hall", no_hall: "No hall is yours",
  windows: "Windows", window: "Window {n} {name}", windows_are: "{open} open, {paused} of them paused, {all} in all", due_by: { plan: "{n} due (as planned)", need: "{n} due (by the tickets of the last hour)" },
  day: "By quarter of an hour",
  measure: { arrivals: "Tickets taken", calls: "Calls", served: "Served", no_shows: "No-shows", average_wait: "Average wait (min)", p90_wait: "P90 wait (min)", average_reach: "Time to reach window (min)", average_service: "Average service (min)", service_level: "Service level" },
  chart: {
    against: "{date} (same weekday before)", before: "before", was: "before {n}", hint: "Point at the chart or use the arrow keys for exact values", label: "{measure} by quarter of an hour, {date}", measure: "Measure", as_table: "Show as table", as_chart: "Show as chart", quarter: "Time", empty: "Nothing has happened on this day yet",
  },
  forecast: {
    title: "The next hour", taken: "Ticket taken", wait: "Expected wait", now: "now", range: "{p50}–{p90} min", arrivals: "Tickets expected", needed: "Windows needed", one_more: "If one more window opened now", without: "Without one more window",
    unknown: "Too little is known for a forecast", no_window: "No window is serving; there is no forecast", delays: "Little is known yet: this goes by the latest waits.",
    score: "Error of the forecasts of {date}: {mae} min on average over {n} tickets; {cover} waited no longer than the upper end (90% is right).", unscored: "No forecasts of a day before to compare yet.",
  },
  devices: "Devices", devices_are: "{well} of {all} devices are well", health: { unknown: "unknown", silent: "silent", degraded: "degraded", down: "down", unconfirmed: "keys not confirmed" },
  callout: { title: "Call-out screen", text: "The hall's call-out screen comes from the machine in the hall; it calls with voice also while the centre cannot be reached. Open it in the browser of the computer behind the television:", machine: "the hall's machine" },
  limits: {
    open: "Thresholds", title: "Thresholds of this hall", default: "default {n}", save: "Save", cancel: "Cancel", set_by: "set by {who} at {at}", never: "Not changed yet: the defaults hold", locked: "Only managers of this hall and administrators may change them",
    waiting_per_window: "People waiting for each open window", longest_wait_minutes: "Anybody waiting for (minutes)", forecast_p90_minutes: "Upper end of the forecast within half an hour above (minutes)", pause_minutes: "A window paused for (minutes)",
    device_silent_minutes: "A device silent for (minutes)", call_burst_seconds: "Two calls closer than (seconds)", service_level_percent: "Target: share called (%)", service_level_minutes: "Target: called within (minutes)", windows_planned: "Windows that should be open", planned_none: "empty: worked out from the tickets taken",
  },
};
