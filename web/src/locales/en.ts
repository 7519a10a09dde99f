// English, the second language of the site. Same keys as zh-CN; a test holds them together.

import admin from "./admin.en";
import attendance from "./attendance.en";
import pairing from "./pairing.en";
import queue from "./queue.en";
import video from "./video.en";
import work from "./work.en";
import supervision from "./supervision.en";

export default {
  product: { name: "Hallwatch", full: "Hallwatch 厅窗", tagline: "Watching over service-hall windows" },
  nav: { wall: "Wall", queue: "Queue", cases: "Cases", attendance: "Attendance", nodes: "Nodes", admin: "Administration", menu: "Menu", tree: "Places" },
  sort: { by: "Sort by", rising: "rising", falling: "falling" },
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
    shed: "reduced", shed_hint: "This computer does not keep up, so only key frames or stills are shown; it comes back by itself",
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
    shed_on: "This computer does not keep up: the wall shows less", shed_off: "This computer keeps up again: the wall shows everything", filter: "Find an area or hall",
  },
  patrol: {
    title: "Patrol", dwell: "Stay", seconds: "{n} s", groups: "Groups", by_page: "page by page", by_hall: "hall by hall", order: "Order", by_tree: "as in the tree", by_risk: "by risk (long waits, bad ratings, faults first)",
    hours: "Hours", hours_hint: "Empty: always. Such as 1-5T08:30-12:00,1-5T14:00-17:30 (1 is Monday)", hours_wrong: "These are no hours", start: "Start the patrol", stop: "End the patrol",
    pause: "Pause", go_on: "Go on", paused: "paused", left: "turns in {n} s", waits: "waits", until: "begins {time}",
  },
  preset: {
    title: "Presets", none: "No presets yet", name: "Name of the preset", own: "Only me", with: "Share with {place}", share: "Shared with", shared: "{owner}, shared with {place}", of: "layout {layout} · {n} cameras",
    hidden: "{n} more are not yours to watch, or gone", save: "Save what is shown ({n} cameras)", change: "Replace the preset of this name", remove: "Remove preset {name}", yes: "Remove", taken: "The name is taken, or there are too many",
    gone: "This preset is no more", empty: "No camera of this preset is yours to watch",
  },
  replay: {
    title: "Replay", back: "last {n} s", since_called: "Since the call", live: "Back to live", pause: "Pause", play: "Play", speed: "Speed", loading: "Fetching footage from the hall…", nothing: "Nothing was recorded then",
    gap: "No footage here: {why}", broken: "The footage cannot be played; try again", no_case: "No called case is at this window",
    offline: "The hall is offline; its footage is there", as_of: "As known at {time}", outside: "This moment is outside this camera's footage", export: "Export", clip_of: "Footage of {camera} (MP4)", no_camera: "No camera has footage of this case", frame_back: "One frame back", frame_on: "One frame on",
    from_ticket: "from the ticket on", cameras: "Cameras", scale: "Time", keys: "Space plays and pauses · ←→ 5 s · , . frame by frame · + − pace",
  },
  evidence: {
    hint: "The package holds footage, events, stills and a manifest, signed by this centre. Who exports it and why is written down.", reason: "Why it is exported (required)", export: "Export the evidence package", busy: "Gathering it from the hall…", missing: "{n} recordings did not come from the hall", altered: "{n} recordings are not what the centre was told when they were made", done: "Saved {name}", refused: "Your role does not export evidence",
  },
  still: { save: "Save a still", saved: "The still is saved", failed: "The still could not be saved" },
  keys: {
    title: "Keys", close: "Close", move: "Select a tile", open: "Open the selected window large", back: "Back", layout: "Layout", page: "Turn the page", full: "Full screen", patrol: "Start or end the patrol", pause: "Pause the patrol, or go on",
    replay: "Replay the last 60 s; again for live", called: "Replay since the call", still: "Save a still", alarms: "Go to the alarms (↑↓ select, Enter opens, Delete dismisses)", help: "This page", select_first: "Select a tile with the arrow keys first",
  },
  alarm: { title: "Alarms", rating: "Bad rating: {grade}", over: "{what} (over)", dismiss: "Dismiss", clear: "Dismiss all", more: "{n} more" },
  gap: {
    camera_lost: "the camera sent no picture", agent_down: "the hall's edge agent was not running", clock_stepped: "the clock was set", parameters_changed: "the camera changed what it sends", recorder_behind: "the disk did not keep up",
    disk_full: "the disk was full", disk_out: "the disk failed, was missing or another hall's", not_recordable: "the camera sends what cannot be recorded",
  },
  fault: { black: "The picture is black", frozen: "The picture is frozen", blocked: "The lens is covered", defocused: "Out of focus", out_of_focus: "Out of focus", moved: "The camera was moved" },
  focus: {
    close: "Back to the wall", timeline: "The case so far", recent: "Recent cases of this window", no_case: "No case is running at this window", open_case: "Open the case",
    no_window: "A security camera; it belongs to no window", state: "Window state", camera: "Camera",
  },
  case: {
    title: "Cases", id: "Case ID", official: "Official no.", hall: "Hall", window: "Window", ticket: "Ticket", clerk: "Clerk", business: "Business", grade: "Rating",
    opened: "Ticket taken", closed: "Closed", state: "State", lasting: "Duration", date: "Date", all_halls: "All halls", all_windows: "All windows",
    empty: "No cases match", more: "Show more", timeline: "Timeline of events", events: "{n} events", detail: "Case", refresh: "Refresh",
    replay: "Replay",
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
    find: "Find by node, hall or version", any_state: "Every state",
    act: "Actions", revoke: "Revoke", lift: "Lift quarantine",
    revoke_text: "Node {id} is cut off at once and cannot connect again until it is enrolled with a new pairing code. The hall goes on working and keeps its events.",
    lift_text: "Make sure first that only one machine uses the certificate of {id}. Why it was set apart: {why}",
  },
  error: {
    unreachable: "The centre cannot be reached", unreachable_detail: "Check the network; the page keeps trying.", retry: "Try again", title: "Something went wrong", not_found: "There is no such page", home: "Back to the first page",
    refused: "You may not see this page", failed: "The centre has failed; try again later",
    status: {
      "400": "The request is wrong", "401": "Sign in first", "403": "Not allowed", "404": "Not found", "408": "It took too long", "409": "Not possible as things stand", "422": "Against a rule",
      "429": "Too many requests; wait a little",
    },
  },
  ask: { no: "Cancel" },
  admin,
  att: attendance,
  pair: pairing,
  queue,
  video,
  work,
  over: supervision,
  kiosk: {
    title: "Take a number", choose: "What is it about?", nothing: "No business is set up in this hall", opening: "Connecting…", printing: "Printing, one moment", number: "Your number", waiting: "{n} people before you", take: "Take your ticket and wait for your number",
    kept: "The number is valid, please write it down:", again: "Print again", done: "Done", back: "Back", staff: "Please ask the hall's staff",
    why: {
      paper_out: "The printer is out of paper", cover_open: "The printer's cover is open", cutter: "The cutter is jammed", unrecoverable: "The printer needs service", mechanical: "The paper is jammed", cooling_down: "The printer is too hot and goes on by itself", offline: "The printer is offline",
      partial: "Only a part of the ticket was printed", down: "The printer is not connected", busy: "Too many tickets wait, one moment", "too-many": "Too many tickets at once, one moment", "other-machine": "Tickets come from the ticket machine here", "no-printer": "This hall has no ticket printer", "not-a-kiosk": "No tickets can be taken at this machine", lost: "The link to the hall's machine is lost", unknown: "No ticket can be taken now",
    },
  },
  loading: "Loading…",
};
