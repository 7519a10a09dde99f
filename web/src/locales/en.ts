// English, the second language of the site. Same keys as zh-CN; a test holds them together.

export default {
  product: { name: "Hallwatch", full: "Hallwatch 厅窗", tagline: "Watching over service-hall windows" },
  nav: { wall: "Wall", cases: "Cases", nodes: "Nodes", menu: "Menu", tree: "Places" },
  sign: {
    in: "Sign in", out: "Sign out", name: "Name", password: "Password", hint: "Use the account your administrator gave you",
    need_name: "Enter your name", need_password: "Enter your password", busy: "Signing in…", wrong: "The name or the password is wrong", often: "Too many attempts; wait a little", again: "Your session has ended; sign in again",
    promise: ["No event is lost", "No picture lies", "Nobody sees what is not theirs"],
  },
  password: {
    title: "Change password", must: "First sign-in: choose a new password", old: "Present password", fresh: "New password", again: "New password again", differ: "The new passwords differ",
    change: "Change password", done: "The password is changed; other sessions have ended",
  },
  role: { administrator: "Administrator", supervisor: "Supervisor", hall_manager: "Hall manager", hr: "HR", technician: "Technician" },
  look: { theme: "Theme", auto: "Automatic", light: "Light", dark: "Dark", language: "Language" },
  age: { ms: "{n} ms", s: "{n} s", min: "{n} min", h: "{n} h", d: "{n} d", ago: "{age} ago" },
  link: { up: "Live link", down: "Link lost, reconnecting", since: "updated {time}" },
  state: {
    closed: "Closed", idle: "Idle", called: "Called", serving: "Serving", rating: "Rating", paused: "Paused", unknown: "Unknown",
  },
  tile: {
    live: "Live", connecting: "Connecting", stale: "Stale", offline: "Offline", forbidden: "Forbidden", unsupported: "Unplayable", empty: "No picture",
    frozen: "Picture is {age} old", no_camera: "Empty", security: "Security",
  },
  path: { mse: "MSE", webcodecs: "WebCodecs", still: "Stills", because: "{path}: {why}" },
  why: {
    link: "The link to the centre is down", forbidden: "You may not view this camera", offline: "The camera is offline", unsupported: "This browser cannot play the codec",
    no_frames: "No new pictures arrive", late: "Pictures come late, or the hall's clock is off", codec: "This browser lacks the codec; showing stills",
    said: {
      frozen: "The camera stopped sending pictures; dialling again", silent: "The camera is connected but sends no picture", password: "The camera refuses the user or password: set the right one", path: "The camera has no stream at this address: check the path",
      unreachable: "The camera cannot be reached", refuses: "The camera did not start its stream", no_video: "The camera sends no H.264 video", unplayable: "Browsers cannot play the camera's codec: set it to H.264; only stills until then",
      ended: "The stream ended; dialling again", hall: "The hall's edge agent is not connected to the centre",
    },
  },
  window: {
    ticket: "Ticket", case: "Case ID", clerk: "Clerk", waiting: "Waiting", waiting_n: "{n} waiting", last_rating: "Last rating",
    none: "none", since: "for {span}", nobody: "not signed in", number: "Window {n}", pause_reason: "Reason",
  },
  grade: { "5": "Very satisfied", "4": "Satisfied", "3": "Fairly satisfied", "2": "Dissatisfied", "1": "Very dissatisfied", none: "No rating" },
  wall: {
    layout: "Layout", page: "Page {page} / {pages}", previous: "Previous page", next: "Next page", full: "Full screen", everything: "Everything",
    kind_window: "Windows", kind_security: "Security", kind_all: "All", empty: "No cameras here", empty_hint: "Choose another area, hall or window on the left",
    coverage: "Coverage", coverage_hint: "window events with a case ID: {tagged} / {all}", at: "at {time}",
    loading: "Reading the places…", live_of: "{live}/{all} live", alarms: "{n} alarms", cameras: "{n} cameras", windows: "{n} windows",
    keys: "Arrows select · Enter opens · 1–8 layout · F full screen · PgUp/PgDn pages", filter: "Find an area or hall",
  },
  focus: {
    close: "Back to the wall", timeline: "The case so far", recent: "Recent cases of this window", no_case: "No case is running at this window", open_case: "Open the case",
    no_window: "A security camera; it belongs to no window", state: "Window state", camera: "Camera",
  },
  case: {
    title: "Cases", id: "Case ID", official: "Official no.", hall: "Hall", window: "Window", ticket: "Ticket", clerk: "Clerk", business: "Business", grade: "Rating",
    opened: "Ticket taken", closed: "Closed", state: "State", lasting: "Duration", date: "Date", all_halls: "All halls", all_windows: "All windows",
    empty: "No cases match", more: "Show more", timeline: "Timeline of events", events: "{n} events", detail: "Case", refresh: "Refresh",
    not_found: "No such case", unbound: "not bound", inexact: "time inexact", from: "From", to: "To",
    states: { waiting: "Waiting", called: "Called", serving: "Serving", rated: "Rated", closed: "Closed" },
  },
  event: {
    ticket: { issued: "Ticket taken", called: "Called", recalled: "Called again", no_show: "Skipped", transferred: "Transferred", held: "Held", resumed: "Resumed" },
    service: { started: "Service started", ended: "Service ended" },
    case: { opened: "Case opened", closed: "Case closed", bound: "Official number bound" },
    window: { opened: "Window opened", paused: "Paused", resumed: "Resumed", closed: "Window closed" },
    clerk: { signed_in: "Clerk signed in", signed_out: "Clerk signed out" },
    rating: { invited: "Rating invited", given: "Rated", timed_out: "Rating timed out", unsolicited: "Unsolicited press" },
    punch: { recorded: "Punch" },
    device: { up: "Device up", silent: "Device silent", degraded: "Device degraded", down: "Device down", paired: "Device paired", replaced: "Device replaced", clock_offset: "Clock offset" },
    camera: { up: "Camera up", down: "Camera down" },
    picture: { fault: "Picture fault" },
    seat: { changed: "Seat changed" },
    recording: { sealed: "Recording sealed", gap: "Recording gap" },
    node: { started: "Node started", clock_stepped: "Clock stepped", disk_low: "Disk low", config_changed: "Configuration changed" },
    command: { done: "Command done" },
  },
  fact: {
    printed_waiting: "{n} ahead", priority: "priority", by_number: "called by number", count: "call {n}", to_window: "to {n}", official_no: "{n}", source: "from {n}",
    clerk: "no. {n}", seconds: "within {n} s",
    ended_by: {
      evaluate: "evaluate key", rated: "rated", rating_timed_out: "rating timed out", next_call: "next was called", no_show: "no show", transfer: "transferred", held: "held",
      window_closed: "window closed", day_end: "end of day",
    },
    why: { not_invited: "pressed uninvited", second_press: "second press", unmapped: "unknown key" },
  },
  node: {
    title: "Nodes", id: "Node", hall: "Hall", seen: "Last seen", state: "State", online: "Online", offline: "Offline", quarantined: "Quarantined",
    certificate: "Certificate until", outbox: "Events waiting", offset: "Clock offset", revoked: "Revoked", version: "Version", empty: "No nodes yet", empty_hint: "Create a pairing code for a hall and enrol its machine",
    pair: "Create pairing code", pair_title: "A pairing code for a hall", pair_hint: "The code works once, within 24 hours.", choose_hall: "Choose a hall",
    code: "Pairing code", pin: "Centre key pin", expires: "Valid until", command: "Run at the hall", copy: "Copy", copied: "Copied", close: "Close", never: "never",
    act: "Actions", revoke: "Revoke", lift: "Lift quarantine",
    revoke_text: "Node {id} is cut off at once and cannot connect again until it is enrolled with a new pairing code. The hall goes on working and keeps its events.",
    lift_text: "Make sure first that only one machine uses the certificate of {id}. Why it was set apart: {why}",
  },
  error: {
    unreachable: "The centre cannot be reached", unreachable_detail: "Check the network; the page keeps trying.", retry: "Try again", title: "Something went wrong", not_found: "There is no such page", home: "Back to the wall",
    refused: "You may not see this page", failed: "The centre has failed; try again later",
    status: {
      "400": "The request is wrong", "401": "Sign in first", "403": "Not allowed", "404": "Not found", "408": "It took too long", "409": "Not possible as things stand", "422": "Against a rule",
      "429": "Too many requests; wait a little",
    },
  },
  ask: { no: "Cancel" },
  loading: "Loading…",
};
