// The words of the pairing pages and of the call-out screen.

import type zh from "./pairing.zh-CN";

const en: typeof zh = {
  title: "Pairing", home: "Devices", back: "Back", more: "More", ok: "OK", next: "Next", cancel: "Cancel", busy: "One moment…", optional: " (optional)",
  offline: "The hall's machine cannot be reached; trying again. What is shown may be old", centre_down: "The link to the centre is down; pairing goes on", read_ago: "read {age} ago",
  address_n: "address {n}",
  pass: {
    title: "Hall service", hint: "Show your site pass", paste: "Paste the pass", scan: "Scan the code", enter: "Enter", busy: "Checking…", lost: "Signed out: show your pass again",
    where: "An administrator or technician of the centre issues passes for one hall and some hours. They work with the link down.", out: "Leave", no_camera: "The camera cannot be opened: allow it, or paste instead", aim: "Hold the code in the picture",
    until: "Pass valid until {time}", issue: "Issue a pass", issue_hint: "The pass is for this hall alone and ends by itself; it is shown this once.", hours: "Valid for", hours_n: "{n} hours",
    issued: "Let the technician scan it with the phone, or copy and send it", copy: "Copy the pass", copied: "Copied", list: "Passes issued", none: "No pass has been issued yet", revoke: "Revoke", revoked: "revoked", expired: "expired",
    valid: "valid", revoke_text: "{name} can no longer pair devices with this pass. While the hall is not connected, this takes effect when it is again.", for: "Technician", from_until: "{from} to {until}", by: "by {name}",
    issue_title: "Site passes", at_hall: "The hall's page: join the hall's network with the phone, open the address of the hall's machine, scan or paste the pass.",
  },
  state: { online: "online", silent: "silent", degraded: "degraded", down: "offline", unconfirmed: "keys unconfirmed", unknown: "unknown", unbound: "unbound" },
  health: {
    since: "for {age}", last: "last reading {age} ago", never: "no reading yet", bad: "{n} bad frames a minute", fast: "clock {n} s ahead", slow: "clock {n} s behind",
    in_test: "in test", unconfirmed: "its keys are not confirmed: ratings do not count", all_good: "All well", faults: "{n} need attention",
  },
  why: {
    not_there: "not there (unplugged, or a wrong path)", no_permission: "no permission: the service's user must be in the group dialout", refused: "connection refused", no_answer: "no answer in time", hung_up: "it hung up (unplugged, or switched off)",
    another: "another device is in this socket: plug the right one in, or replace it here", key_refused: "the clock refuses the communication key: compare it with the clock's menu", key_asked: "the clock asks for its communication key (in its menu)", not_called: "the clock has not called since the start",
  },
  role: {
    evaluator: "Evaluator", keypad: "Keypad", ticket: "Ticket machine", attendance: "Attendance clock", camera: "Camera", display: "Window display", voice: "Voice", printer: "Printer", modem: "SMS modem", sensor: "Sensor", unknown: "Unknown device",
  },
  window: {
    numbered: "Window {n} {name}", choose: "Choose a window", hint: "Which window do you stand at?", find: "Window number", scan: "Scan the window's code", hall: "The hall at large", hall_hint: "Ticket machines, attendance clocks: what stands at no window",
    none: "There is no such window", devices: "devices: {n}", no_device: "No device yet", not_ours: "This code is not one of this hall", add: "Add a device here", here: "Devices of this window", add_hall: "Add a device to the hall",
  },
  visit: {
    open: "Open pairing", opening: "Open the pairing window", open_hint: "Devices can be searched for and bound only while it is open. It closes by itself; every step is on record.", minutes: "{n} minutes", hours: "{n} h", longer: "I need longer", approver: "Approved by",
    approver_hint: "Longer than 10 minutes needs an approver; 8 hours at most", left: "{time} left", closes: "The pairing window closes by itself in {time}", extend: "10 more minutes", close: "Close the pairing window",
    close_text: "To go on it has to be opened again. What is bound stays bound; there will be no acceptance sheet.", expired: "The pairing window has closed by itself. What is bound stays bound.", again: "Open again", left_why: "The pairing window is closed.",
    other: "{name} is pairing in this hall; wait until they are done", signed: "Signed", running: "Pairing is open", go_on: "Go on pairing", step: "Step {n} of 6", steps: ["Window", "Find", "Identify", "Bind", "Test", "Accept"],
    need: "Open the pairing window first", unknown: "Looking whether pairing is open…", why_signed: "signed", why_left: "closed", why_expired: "closed by itself",
  },
  find: {
    title: "Find devices", start: "Search", again: "Search again", stop: "Stop", how: "Where to look", port: "Serial port", ports_none: "The hall's machine has no free serial port: plug the adapter in, it appears within seconds", baud: "Baud", used: "used by {who}",
    addresses: "Addresses", count: "{n} addresses", most: "at most {n} addresses", bad_range: "such as 192.168.1.0/24 or 192.168.1.10-60", kind: "Kind of device", found: "{n} found", nothing: "Nothing found yet", select: "Choose this one",
    bus_hint: "Press any key of the device: it appears below", wait: "Waiting for the device…", range: "Searched", searched: "{tried} of {of}", bound_to: "bound: {who}", candidates: "Devices found", pressing: "being pressed", credential: "Credential",
    credential_new: "New credential", credential_name: "Its name", credential_secret: "Password or key", credential_form: "letters, digits, - and _", credential_hint: "Sealed on the hall's machine and never shown again; there are no default ones.", credential_none: "none needed", keep: "Keep", rows: "Ticket pattern (regular expression)", business: "Business pattern (regular expression)",
    state: { searching: "searching", listening: "listening", done: "done", stopped: "stopped", failed: "failed" },
    source: { bus: "Serial bus", attendance: "Network clocks", push: "Clocks that call in", stated: "Known place", unknown: "Unknown evaluator", onvif: "Camera (ONVIF)", camera: "Camera", ticket: "Ticket machine", hid: "USB keyboard evaluator", modbus: "Modbus", profile: "Device profile" },
    connection: { bus_keypad: "Keypad (bus)", bus_evaluator: "Evaluator (bus)", printer_tap: "Ticket printer line", zk: "Attendance clock (ZK)", camera: "Camera (its streams' addresses)", push: "Attendance clock that calls in", fingerprint: "Fingerprint module", printer: "Ticket printer", profile: "Device by its profile" },
    push_hint: "Lists the clocks that have called in: first write the hall machine's address and port into the clock's own menu.", profile: "Profile", via: "Connected by", vias: { serial: "serial line", tcp: "network (serial server)", keyboard: "USB keyboard" }, keyboard: "Keyboard device", text: "Text of a call", paper: "Paper", note: "Last line of a ticket", family: "Protocol", slots: "Slots and staff numbers", means: "A punch means", in: "in", out: "out", address: "Bus address", host: "IP address:port", ack: "Acknowledgement",
  },
  range: { port: "{v}", baud: "{v} baud", addresses: "addresses {v}", address: "{v}", network: "network {v}", seconds: "{v} s", interfaces: "multicast from {v}", http_ports: "ONVIF port {v}", rtsp_port: "RTSP port {v}", listen: "listening at {v}", serial: "serial number {v}", profile: "profile {v}", role: "{v}", transports: "{v}", main: "{v}", sub: "{v}", user: "user {v}", credential: "credential {v}", kind: "{v}" },
  identify: {
    title: "Identify", ask: "Is it this one?", hint: "Make the device act and see whether it is the one before you.", evaluate: "Light up or speak", beep: "Beep", blink: "Blink", voice: "Speak", still: "Take a picture", print: "Print a test slip",
    speak: "Speak", display: "Show a test text", sent: "Sent: look at the device", again: "Once more", press: "Press any key of the device", pressed: "A key of this device was pressed", yes: "It is", no: "It is not", cannot: "This device cannot show itself: press a key or use it once and watch below", details: "About the device",
    fact: "{name}: {v}",
  },
  camera: {
    main: "Main stream", sub: "Second stream", fps: "{n} fps", user: "User", maker: "Maker", maker_other: "Another", read: "Read the streams", take: "Use these addresses", by_hand: "Write the addresses by hand instead", by_onvif: "Read the streams from the camera instead",
    sign_in: "Sign in to the camera", where: "Where its streams are", sign_in_hint: "The password is tried on this camera only; cameras lock a user after a few wrong ones.", no_sub: "No second stream", sub_hint: "The wall shows the second stream: best 640×360, H.264", other_sign_in: "Other user, password or streams",
    hint: "Take a picture: is it the camera before you?", first: "Read its streams first, then take a picture to be sure.", in_use: "The camera at this address is used for: {who}", sees: "What it looks at", hall_at_large: "The hall at large", number: "Number", free: "{name} (new)", used: "{name} (has a camera)",
    searched_by: "Within the stated range: discovered by ONVIF, and each address asked for ONVIF and RTSP. No password is tried.", ports: "Other ports", http_ports: "ONVIF ports (with spaces between)", rtsp_port: "RTSP port",
    problem: {
      "needs-credential": "The camera asks for a user and password", unauthorized: "The camera refuses this user or password", unreachable: "The camera cannot be reached", timeout: "The camera did not answer in time", "no-onvif": "No ONVIF there: write the streams' addresses by hand", fault: "The camera does not answer this: write the streams' addresses by hand",
      connect: "The camera cannot be reached", no_stream: "No usable stream at this address", describe: "The camera did not describe its stream", setup: "The camera did not start playing", unsupported: "The camera has no H.264 or H.265 stream", first_frame: "The camera sent no picture", frame_timeout: "The picture stopped", stream: "The stream ended", still: "The picture cannot be decoded",
    },
  },
  audit: {
    verdict: { good: "Good", usable: "Usable; better changed", unfit: "Not fit; must be changed", failed: "Cannot be played" },
    codec: "Codec", size: "Size", fps: "Frame rate", told: " (told {n})", kbps: "Bit rate", gop: "Key frame gap", clock: "Clock offset", untold: "not told", offset: "{n} s", seconds: "{n} s", played: "Played for",
    what: {
      no_key_frame: "No key frame in {seconds} s", ended_early: "The stream ended by itself after {seconds} s", h265: "H.265: the wall can show stills only", profile_unplayable: "Profile {profile}: browsers cannot play it", gop_long: "{seconds} s between key frames: so long a viewer waits for a picture",
      gop_irregular: "Irregular key frames, {shortest_s} to {longest_s} s (a smart codec)", b_frames: "B-frames: late, and browsers cannot play them", fewer_frames: "{told} fps told, {fps} true", more_frames: "{told} fps told, {fps} true", few_frames: "Only {fps} fps: movements cannot be followed",
      times_wrong: "{stamped} fps by the camera's own times, {fps} true", times_jump: "The camera's time jumped {count} times", bit_rate_high: "{kbps} kbit/s: more than a sensible {most}", sub_large: "A second stream of {width}×{height} is too large", main_small: "A main stream of {width}×{height} is too small for evidence",
      clock_off: "The camera's clock is off by {seconds} s: the time in the picture is wrong", clock_unknown: "The camera does not tell its time while it plays", first_picture_slow: "The first picture came after {ms} ms", packets_lost: "{packets} packets missing in {frames} frames", pause: "A pause of {ms} ms",
    },
    change: {
      codec_h264: "set the video encoding to H.264", profile_main: "set the profile to Main", key_frame_interval: "set the I-frame interval to {frames} frames", smart_codec_off: "switch the smart codec off (H.264+, Smart Codec, U-Code)", b_frames_off: "switch B-frames off", frame_rate: "set the frame rate to {fps}", slow_shutter_off: "switch the slow shutter off, or give more light",
      bit_rate: "limit the bit rate to {kbps} kbit/s", resolution: "set the resolution to {width}×{height}", time_server: "set the time server that the hall's node uses", network: "look at the cable, the switch's port, and how many watch this camera",
    },
  },
  fact: { address: "Address", name: "Name", maker: "Maker", model: "Model", firmware: "Firmware", server: "Server", rtsp: "RTSP", onvif: "ONVIF", clock_offset_s: "Clock offset (s)", platform: "Platform", users: "Users", records: "Records" },
  sniff: {
    title: "Unknown evaluator", hint: "For an evaluator whose protocol nobody knows: alone on a serial line, each key is pressed in turn and the protocol is worked out.", quiet: "Press nothing yet: what the device says by itself is being heard. Then touch Start.", start: "Start", resume: "Go on", listening: "Listening…", go_on: "Some keys have not been pressed often enough: touch Go on.",
    now: "Press “{grade}” {n} times, once a second", all: "All five keys were heard: give it a name", presses: "{n} of {of}", again: "Again", anew: "All again", own: "{n} bursts came with no key pressed and are taken as background", over: "Nothing more can be heard on this line: {why}",
    name: "Name of the profile", name_hint: "small letters, digits and hyphens, such as evaluator-acme-5", words: "Title", propose: "Work it out", proposed: "Worked out; its {n} own tests pass", sure: "What is sure", frames: "What each key sends", keep: "Keep it and bind", confirmed: "You have just pressed each key: once bound it is in service",
    found: {
      fixed_length: "Each press is {bytes} bytes", length_field: "The length stands at byte {offset}", ends_by_tail: "Of several lengths, ending alike", ends_by_silence: "Of several lengths, ending by a silence", checksum: "Checksum {kind} over bytes {from} to {to}, at {at}", no_checksum: "No checksum: a disturbed press can be taken for another",
      key_byte: "Byte {offset} says which key (bits {mask})", changing: "Byte {offset} changes by itself and is passed over", repeated: "Each press is said up to {times} times; within {window_ms} ms it is one. The device may want an answer", other_frames: "{count} frames are no presses and are passed over", address_unknown: "From one device nobody can tell which byte is its address: two on one line need it written in",
    },
    problem: {
      "too-few-buttons": "Press at least two different keys", "too-much": "Too much was heard: does something else talk on the line?", "not-heard": "A key was not heard often enough: check speed and wiring, and press it again", unsteady: "The presses of one key differ in length", "no-key-byte": "No byte tells the keys apart: this device needs a driver of its own", "not-verified": "The protocol worked out does not read back what was heard", grade: "Grades are 1 to 5",
    },
  },
  bind: {
    title: "Bind", to: "Bind to", do: "Bind", window: "Window", role: "Use", name: "Place", name_hint: "a capital letter and two digits, such as T01", need_window: "This device stands at a window: choose one first", occupied: "{who} has a device already", bound: "This device is bound to {who}",
    ask: "What has happened?", replaced: "Replaced", replaced_hint: "The old device is broken or renewed; this one takes over. The place and its history stay.", moved: "Moved", moved_hint: "The same device came from elsewhere. Its former place becomes unbound.", cloned: "Two alike", cloned_hint: "Another device with the same identity; both stay.",
    new: "New", confirm: "Confirm: {what}", done: "Bound", unbind: "Take it away", unbind_text: "{who} becomes unbound. Its history stays; it can be undone for 24 hours.", ack_hint: "Usually A; choose B if the device keeps repeating its key", maker: "What its keys mean is confirmed in the test",
  },
  test: {
    title: "Test", start: "Begin the test", case: "Test case", case_hint: "Tests count in no figure", press_five: "Press the five keys one by one", now: "Now press: {grade}", all: "All five keys were heard: check them", wrong: "Touch a tile to learn its key again", heard: "× {n}", no_key: "not heard",
    other: "Other keys", confirm: "The keys are right", lacking: "{n} keys to go", only: "It has only {n} keys", confirmed: "The keys are confirmed; the evaluator is in service", end: "It works", ended: "The test is done", live: "Live readings", waiting: "Waiting for a reading…", keypad: "Press keys of the keypad: they appear below at once",
    ticket: "Take a test ticket: its number appears below at once", attendance: "Punch once: it appears below at once", camera: "Each of its streams is played for 10 seconds and judged: codec, frame rate, bit rate, clock offset.", playing: "Playing its streams…", playing_hint: "About 10 seconds each; the verdict appears by itself", display: "Let it show a test text and look at the display.", voice: "Let it speak a test phrase and listen.", printer: "Print a test slip: look at paper and code.", modem: "The modem's state is shown below.", shown_print: "The test slip is printed", shown_display: "The test text is sent", shown_voice: "The test phrase is spoken", shown_evaluate: "Sent: look at the evaluator", generic: "Use the device: its readings appear below at once", next_device: "Add another device", accept: "Go to acceptance", retest: "Test again", relearn: "Learn all again", raw: "byte {raw}",
    map_by: "keys confirmed by {name} at {time}",
  },
  live: {
    pressed: "Key pressed", key: "Key {key}", digits: "digits {digits}", ticket: "Ticket {number} · {business}", waiting: "{n} waiting", punch: "Punch", health: "State {state}", raw: "byte {raw}",
    keys: { start: "start", evaluate: "evaluate", call: "call", recall: "recall", cancel: "cancel", function: "function", metre: "one metre", pause: "pause", transfer: "transfer" },
  },
  accept: {
    title: "Five-point acceptance", hint: "Look at each point and choose its result", quantity: "Quantity", quantity_hint: "As many devices as on the list", place: "Place", place_hint: "At the right place, and firm", picture: "Picture", picture_hint: "Sharp, rightly aimed, nothing in the way", display: "Display",
    display_hint: "Texts, time and names are right", link: "Line", link_hint: "Wired tidily, talks steadily", pass: "Pass", fail: "Fail", not_applicable: "N/A", note: "Note", photo: "Photo", photo_again: "Another photo", photo_busy: "Sending the photo…", photo_bad: "This file is not a picture",
    done: "{n} of 5", next: "Go to signing", bound: "Bound in this visit", none_bound: "Nothing has been bound in this visit yet", unconfirmed: "keys not confirmed: {who}", photo_of: "photo of {point}",
  },
  sign: {
    title: "Sign", name: "Accepted by", hall_name: "For the hall", do: "Sign and make the sheet", text: "Signing closes the pairing window; the sheet cannot be changed afterwards.", done: "Accepted", done_hint: "The acceptance sheet is there", open: "Open the sheet (PDF)", download: "Download the PDF", home: "Done", points: "Results", devices: "Devices",
  },
  place: {
    history: "History", bound_at: "Bound at", hardware: "Hardware", serial: "Serial number", connection: "Connection", source: "Came from", sources: { config: "configuration file", visit: "pairing", import: "import" }, test: "Test this device", replace: "Replace it", map: "Keys", to_now: "now",
    why: { paired: "paired", new: "new", replaced: "replaced", moved: "moved", cloned: "two alike", unbound: "taken away", undone: "undone", import: "imported", imported: "imported", config: "configuration file" },
  },
  records: {
    title: "Pairing records", empty: "No record yet", chain_whole: "The record is whole and unchanged", chain_broken: "The record's chain is broken: a step was changed", steps: "Steps", sheet: "Sheet", positions: "{n} places", photos: "Photos",
    kind: {
      opened: "pairing opened", extended: "pairing prolonged", window_chosen: "window chosen", search_began: "search begun", search_ended: "search ended", found: "device found", profile_kept: "profile kept", described: "streams read", audited: "streams judged", shown: "device told to show itself", credential_set: "credential kept", identify: "device told to show itself", identified: "identified", bound: "bound", unbound: "taken away",
      test_began: "test begun", pressed: "reading", test_ended: "test ended", grades_confirmed: "keys confirmed", photo_taken: "photo", judged: "acceptance point", imported: "imported", undone: "undone", signed: "signed", closed: "pairing closed",
    },
    is_it: "it is", not_it: "it is not", until: "until {time}",
  },
  undo: {
    title: "Undo", hint: "Bindings, replacements and imports of the last 24 hours can be undone", empty: "Nothing can be undone", do: "Undo", until: "until {time}", done: "undone", text: "Undo “{what}”: {who} becomes what it was before.", what: { bind: "bind", replace: "replace", move: "move", unbind: "take away", import: "import" }, need: "Open the pairing window before undoing",
  },
  import: {
    title: "Import", hint: "Choose an XLSX or CSV table; a dry run first, nothing is changed", choose: "Choose a table", trial: "Dry run", apply: "Import {n} rows", applied: "Imported", refuse_all: "{n} rows cannot be imported: mend the table and choose it again", line: "Row", fate: "Fate", position: "Place", problem: "Problem",
    fates: { add: "add", change: "change", same: "same", refuse: "refuse" }, columns: "Columns: window, role, name, port, baud, address, ack_form, grades, credential", nothing: "No row would change anything", need: "Open the pairing window before importing", other: "Another file",
    codes: {
      "no-window": "there is no window {window}", "bad-role": "unknown role", "bad-address": "bad address", "no-port": "no such port", "bad-baud": "bad baud", "bad-grades": "bad grades", "bad-name": "bad name", twice: "the same as row {line}", "address-twice": "the address of row {line}", "bad-pattern": "bad pattern",
    },
  },
  codes: { title: "Window codes", hint: "Print them and put one up at each window: scanning opens that window's page", print: "Print" },
  callout: { title: "Call-out screen", please: "Number {number} to window {window}", number: "Number", window: "Window", sound_off: "Touch to turn the sound on", lost: "Link lost, connecting again", waiting: "Waiting for calls", to: "please go to", hao: "" },
  problem: {
    "bad-request": "Not understood: {why}", "no-session": "Signed out: show your pass again", "pass-refused": "The pass is not valid", origin: "The request came from another site and was refused", "not-found": "There is no such thing (any more)", "no-visit": "No pairing window is open: open one first",
    "visit-open": "{technician} is pairing, until {expires_at}", "position-occupied": "The place has a device already", "device-bound": "The device is bound elsewhere", "port-in-use": "Port {port} is used by {by}", "not-in-test": "Begin the test first", "keys-missing": "The map does not fit the keys pressed: give each a grade",
    "points-missing": "Some acceptance points have no result", unconfirmed: "An evaluator's keys are not confirmed: test it first", "not-signed": "Not signed yet: there is no sheet", "too-late": "More than 24 hours ago: cannot be undone", "changed-since": "The place was changed later: undo that first", "too-large": "The file is too large", "bad-photo": "Not a usable photo: take another",
    "bad-file": "Neither XLSX nor CSV", "approver-needed": "Longer than 10 minutes needs an approver; at most {most_minutes} minutes", invalid: "“{field}” cannot be that: {why}", "too-many": "Too many tries: wait {seconds} s", device: "The device did not do it: {why}", camera: "{detail}", unproposable: "No protocol can be worked out", "no-draft": "Nothing is worked out yet: press the keys first", "profile-exists": "There is a profile {name} already: choose another name", "no-streams": "Nobody knows this camera's streams yet: give its password, or write them by hand", "hall-offline": "The hall's machine is not connected to the centre: use the hall's own page", "hall-slow": "The hall's machine did not answer in time: try again",
    pass: { form: "This is not a pass: paste all of it", signature: "The signature is wrong: not issued by this centre", other_hall: "This pass is for another hall", not_yet: "The pass is not valid yet: check the hall machine's clock", expired: "The pass has expired: ask for a new one", revoked: "The pass was revoked" },
  },
};

export default en;
