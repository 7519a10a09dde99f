// The words of the administrator's pages.

import type zh from "./admin.zh-CN";

const en: typeof zh = {
  title: "Administration", updated: "updated {time}", refresh: "Refresh", more: "Show more", none: "Nothing matches", loading: "Loading…", save: "Save", cancel: "Cancel", edit: "Change", remove: "Remove", add: "Add", all: "All", copy: "Copy", copied: "Copied", close: "Close", clear: "Clear",
  tabs: { tree: "Places", users: "People and rights", sessions: "Sessions", nodes: "Nodes and certificates", retention: "Retention", authority: "Authority", audit: "Audit log" },
  tree: {
    zone: "Time zone", bad_zone: "Name a time zone, such as Asia/Shanghai", zone_hint: "Attendance follows at once, figures are worked out anew after that; the hall's machine should be set to the same.", title: "Areas, halls and windows", kind: "Kind", name: "Name", code: "Code", inside: "Below", halls_n: "{n} halls", windows_n: "{n} windows", level: "Level", levels: { region: "Region", city: "City", county: "County" },
    add_area: "Add area", add_hall: "Add hall", add_window: "Add window", edit_area: "Change area", edit_hall: "Change hall", edit_window: "Change window", area: "Area", hall: "Hall", window: "Window",
    parent: "Area above", area_code: "Area code (six digits, GB/T 2260)", hall_code: "Hall code (such as 450103-01)", number: "Window number", businesses: "Businesses", every: "Every business", business_hint: "Press Enter after each; none means every business of the hall",
    pick: "Choose a hall to see and change its windows", no_windows: "This hall has no window yet", staff: "Staff directory", remove_area: "Remove area {name}? It must have no area, hall or people below it.", remove_hall: "Remove hall {name}? A hall with a node, a record or people stays.", remove_window: "Remove window {name}?",
    bad_area: "An area code is six digits", bad_hall: "A hall code is six digits, a hyphen and two digits", bad_number: "A window number is 1 to 999",
  },
  users: {
    title: "People and rights", name: "Name", roles: "Roles and scopes", state: "State", active: "May sign in", disabled: "Kept out", must_change: "Password to be changed", second: "Second factor", on: "On", off: "Off", signed_in: "Last sign-in", never: "Never", created: "Created", search: "Find by name", any_role: "Every role", any_state: "Every state",
    add: "Add somebody", edit: "Change rights", grant: "Role", scope: "Scope", add_grant: "One more role", disable: "Keep out", enable: "Let in", reset: "Reset password", reset_second: "Remove second factor", remove: "Remove",
    one_time: "One-time password", one_time_hint: "Shown this once. Hand it to {name} in person; it must be changed at the first sign-in.",
    disable_text: "{name} is signed out at once and cannot sign in again.", enable_text: "{name} will be able to sign in again.", reset_text: "Gives {name} a new one-time password and ends all of their sessions at once.", reset_second_text: "{name} will sign in with the password alone until they set up a second factor again. Make sure who they are first.", remove_text: "Remove {name}? Their presets go with them; what they did stays in the audit log.",
    bad_name: "A name has 1 to 64 characters and no blank at its ends", need_grant: "Choose at least one role with its scope",
  },
  sessions: {
    find: "Find by person, address or browser", title: "Sessions", user: "Person", address: "Address", agent: "Browser", opened: "Signed in", seen: "Last active", current: "This session", end: "End session", end_text: "The session of {user} at {address} ends at once; an open wall closes within seconds.", own: "My sessions", empty: "No other session",
  },
  second: {
    policy: "Roles that must have a second factor", policy_hint: "People of such a role can do nothing else until they have set up an authenticator; it counts at once. None must unless it is said here.", required: "Required", free: "By choice", count: "{people} people, {without} without", required_text: "{without} people of the role {role} have none: before anything else they must set one up, and open walls of theirs close.", free_text: "People of the role {role} may sign in with the password alone; who has a second factor keeps it, and may turn it off.",
    must: "Your role must have a second factor. Set it up here first; everything else comes after.", kept: "On. Your role must have it, so that you cannot turn it off yourself. For another phone, ask an administrator to remove it, and set it up anew.",
    title: "Second factor", on: "On: signing in takes the code of your authenticator.", off: "Off. With it, signing in takes the six digits that an authenticator on your phone shows, beside your password.", begin: "Set up", scan: "Scan this with an authenticator (such as FreeOTP), or type the secret:", code: "Code", confirm: "Confirm", remove: "Turn off", password: "Present password", done: "The second factor is on; other sessions have ended", removed: "The second factor is off", wanted: "Enter the six digits that your authenticator shows", wrong: "The code is wrong or was used already; enter the next one",
  },
  audit: {
    title: "Audit log", n: "No.", at: "Time", who: "Person", action: "Action", object: "Object", address: "Address", detail: "Detail", from: "From", to: "To", any_action: "Every action", export: "Export CSV",
    signed: "{rows} rows, signed up to row {signed} ({at})", unsigned: "{rows} rows, not signed yet", key: "signed by {key}", verify: "control-center audit verify on the centre's machine checks the whole chain.",
    actions: {
      session_opened: "Signed in", session_closed: "Signed out", session_refused: "Sign-in refused", session_ended: "Session ended", password_changed: "Password changed", password_set: "Password set at the command line", user_added: "Person added", user_changed: "Person changed", user_removed: "Person removed", second_factor_on: "Second factor on", second_factor_off: "Second factor off", second_factor_demanded: "Second factor demanded of roles",
      area_added: "Area added", area_changed: "Area changed", area_removed: "Area removed", hall_added: "Hall added", hall_changed: "Hall changed", hall_removed: "Hall removed", window_added: "Window added", window_changed: "Window changed", window_removed: "Window removed", pairing_code_issued: "Pairing code issued", node_revoked: "Node revoked", node_ordered: "Node ordered", node_quarantine_lifted: "Quarantine lifted", authority_change_begun: "Change of the authority begun", authority_node_renewed: "Node holds a new certificate", authority_retired: "Former authority retired", centre_backed_up: "Centre backed up", centre_restored: "Centre put back from a backup",
      live_watch: "Watched live", audit_exported: "Audit log exported", personal_shown: "Personal data shown", evidence_exported: "Evidence exported", pairing_asked: "Paired at the hall", users_exported: "People exported", sessions_exported: "Sessions exported", nodes_exported: "Nodes exported", staff_exported: "Staff exported", cases_exported: "Cases exported", ratings_exported: "Ratings exported",
      camera_moved: "Camera moved", live_still: "Still of now", picture_still: "Still of a fault", recording_held: "Footage held", recording_released: "Footage released", site_pass_issued: "Site pass issued", site_pass_revoked: "Site pass revoked", tree_imported: "Tree imported", wall_preset_added: "Preset added", wall_preset_changed: "Preset changed", wall_preset_removed: "Preset removed", replay_clip: "Replayed a clip", replay_timeline: "Saw a case's timeline", staff_changed: "Staff changed", staff_removed: "Staff removed", recording_rule_set: "Retention of recordings set",
    },
  },
  authority: {
    title: "Authority", hint: "The centre's own authority signs the certificates of the halls' nodes and of the centre's two listeners. While it is changed both are there: nodes learn the new one over the connection they have and renew their certificates by themselves, with no pairing; the former is retired when all have. Browsers must be given the new certificate before that.",
    signer: "Signs now", former: "Former, being left", pin: "Pin of its key", since: "Since", download: "Certificate, for browsers", change: "Change the authority", retire: "Retire the former",
    steady: "Nothing is being changed; {all} nodes hold its certificates", renewing: "Changing: {renewed} nodes have renewed, {left} still hold a former certificate", renewed: "All {all} nodes have renewed; the former can be retired",
    hall: "Hall", node: "Node", holds: "Holds", of_signer: "New certificate", of_former: "Former certificate", seen: "Last heard", expires: "Good until", none: "No node is paired yet", comma: ", ",
    change_text: "Makes a new authority. Nodes renew their certificates by themselves; certificates of both count meanwhile, and nothing is interrupted. Back the centre up as soon as it has begun, and give people's computers the new certificate.", retire_text: "All nodes have renewed. From then on former certificates are refused, the former's key is removed from this machine, and the people's site shows the new one. This cannot be taken back.", leave_text: "{n} nodes still hold a former certificate: {names}. They are cut off at once and must each be paired anew. This cannot be taken back.",
  },
  retention: {
    title: "Retention of recordings", hint: "Footage lies at the halls; this is how they stand now. Each keeps it as its own file says, unless an administrator orders otherwise for that hall; a hall that is away does so when it is back. Held footage stays whatever is ordered.",
    rule: "Ordered", of_file: "As the hall's file says", rule_waiting: "{days}, waits for the hall", rule_done: "{days}, done", rule_refused: "{days}, refused by the hall: {why}", rule_expired: "{days}, not done: the hall was away for thirty days", edit: "How long footage is kept", edit_hint: "{hall}. The law asks for {least} days at least.", keep_days: "Days", empty_hint: "Empty: as the hall's own file says", bad_days: "A whole number from {least} to {most}", shorter: "{n} days less than now: older footage that nobody holds is deleted and cannot be had back.", hall: "Hall", keep: "To be kept", holds: "Fits on the disk", free: "Free", state: "State", days: "{n} days", good: "Enough", short: "Too short", stopped: "Recording has stopped: {why}", offline: "Hall offline", none: "Nothing is recorded", asking: "Asking…", gb: "{n} GB",
  },
};

export default en;
