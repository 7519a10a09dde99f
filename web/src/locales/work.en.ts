// The words of the technician's page.

import type zh from "./work.zh-CN";

const en: typeof zh = {
  title: "Maintenance", nav: "Maintenance", updated: "updated at {time}", loading: "Reading…", all_good: "Everything works in every hall", all_good_hint: "What goes wrong appears here by itself", none_here: "Nothing of this kind",
  all: "All", filter: "Filter", hall: "Hall", every_hall: "All halls", since: "for {age}", more: "Show more",
  urgency: { 1: "A whole hall", 2: "Does not work", 3: "Works badly", 4: "To be seen to" },
  problem: {
    hall_offline: "Hall offline", quarantined: "Node in quarantine", certificate: "Certificate ends", camera_down: "Camera offline", camera_unplayable: "Stream cannot be played", device_down: "Device offline",
    device_silent: "Device silent", device_degraded: "Many bad frames", picture: "Faulty picture", clock: "Clock is off", unconfirmed: "Evaluator keys unconfirmed",
  },
  why: {
    picture: "{fault}", clock_fast: "{n} s ahead", clock_slow: "{n} s behind", certificate: "ends {time} and has not been renewed", hall_offline: "Nothing of this hall reaches the centre; how its devices are is not known",
  },
  role: { node: "Hall's machine", camera: "Camera", keypad: "Caller keypad", evaluator: "Evaluator", ticket: "Ticket printer", attendance: "Attendance terminal", display: "Window display", voice: "Voice", module: "Fingerprint module", modem: "Text message modem", device: "Device" },
  bring: {
    title: "What to bring", hint: "for all that is wrong now", like: "the like of {hardware}", count: "× {n}",
    kind: {
      camera: "Camera", keypad: "Caller keypad", evaluator: "Evaluator", ticket: "Ticket printer", attendance: "Attendance terminal", display: "Window display", voice: "Loudspeaker", module: "Fingerprint module", modem: "Modem", device: "Spare device",
      cable: "Cables and plugs", power_supply: "Power supply", lens_cloth: "Lens cloth", machine: "Spare machine", password: "The cameras' password",
    },
  },
  halls: { title: "Halls", devices: "{n} devices", faulty: "{n} faulty", ok: "all well", unknown: "offline, not known", pair: "Pair", records: "Visits", passes: "Site passes", address: "While a hall is offline, pair on its own page at the hall" },
};
export default en;
