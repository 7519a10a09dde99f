//! Which settings exist, so that one that does not is refused by its path with the nearest that does: a misspelt
//! setting that is passed over in silence is a hall that runs otherwise than its technician believes.

use toml::{Table, Value};

/// A table's settings.
enum Node {
    /// A value of any kind; its own kind is checked when it is read.
    Leaf,
    /// Names chosen by the writer.
    Free,
    /// A table, or an array of such tables.
    Table(&'static [(&'static str, Node)]),
}
use Node::{Free, Leaf};

const ROOT: Node = Node::Table(&[
    (
        "hall",
        Node::Table(&[
            ("id", Leaf),
            ("name", Leaf),
            ("time_zone", Leaf),
            ("data", Leaf),
            ("day_ends_hour", Leaf),
            ("rated_linger_ms", Leaf),
        ]),
    ),
    ("centre", Node::Table(&[("url", Leaf), ("first_delay_seconds", Leaf)])),
    ("local_site", Node::Table(&[("listen", Leaf)])),
    ("pairing", Node::Table(&[("ports", Leaf), ("addresses", Leaf)])),
    ("hall_site", Node::Table(&[("listen", Leaf), ("names", Leaf)])),
    ("business", Node::Table(&[("name", Leaf), ("prefix", Leaf), ("priority", Leaf)])),
    (
        "window",
        Node::Table(&[("number", Leaf), ("name", Leaf), ("businesses", Leaf), ("rating_seconds", Leaf)]),
    ),
    (
        "bus",
        Node::Table(&[
            ("name", Leaf),
            ("path", Leaf),
            ("baud", Leaf),
            ("ack_form", Leaf),
            ("keypad", Node::Table(&[("window", Leaf), ("address", Leaf)])),
            (
                "evaluator",
                Node::Table(&[
                    ("window", Leaf),
                    ("address", Leaf),
                    ("grades", Free),
                    ("grades_confirmed_by", Leaf),
                ]),
            ),
        ]),
    ),
    ("keys", Node::Table(&[("function", Free), ("sign_in_digits", Leaf)])),
    (
        "ticket_machine",
        Node::Table(&[
            ("name", Leaf),
            ("path", Leaf),
            ("baud", Leaf),
            (
                "pattern",
                Node::Table(&[("number", Leaf), ("business", Leaf), ("waiting", Leaf), ("time", Leaf)]),
            ),
        ]),
    ),
    (
        "attendance",
        Node::Table(&[
            ("name", Leaf),
            ("address", Leaf),
            ("comm_key_credential", Leaf),
            ("log_seconds", Leaf),
            ("transport", Leaf),
            ("set_clock", Leaf),
        ]),
    ),
    (
        "line",
        Node::Table(&[
            ("name", Leaf),
            ("path", Leaf),
            ("baud", Leaf),
            ("address", Leaf),
            ("listen", Leaf),
            ("allow", Leaf),
            ("keyboard", Leaf),
            (
                "device",
                Node::Table(&[
                    ("role", Leaf),
                    ("profile", Leaf),
                    ("window", Leaf),
                    ("name", Leaf),
                    ("address", Leaf),
                    ("ack_form", Leaf),
                    ("grades", Free),
                    ("grades_confirmed_by", Leaf),
                    ("text", Leaf),
                    ("values", Free),
                ]),
            ),
        ]),
    ),
    (
        "attendance_push",
        Node::Table(&[
            ("listen", Leaf),
            ("allow", Leaf),
            ("set_clock", Leaf),
            (
                "terminal",
                Node::Table(&[
                    ("name", Leaf),
                    ("serial", Leaf),
                    ("address", Leaf),
                    ("comm_key_credential", Leaf),
                ]),
            ),
        ]),
    ),
    (
        "fingerprint",
        Node::Table(&[
            ("name", Leaf),
            ("path", Leaf),
            ("baud", Leaf),
            ("address", Leaf),
            ("listen", Leaf),
            ("allow", Leaf),
            ("family", Leaf),
            ("password_credential", Leaf),
            ("slots", Free),
            ("state", Leaf),
        ]),
    ),
    (
        "ticket_printer",
        Node::Table(&[
            ("name", Leaf),
            ("path", Leaf),
            ("baud", Leaf),
            ("address", Leaf),
            ("listen", Leaf),
            ("allow", Leaf),
            ("paper", Leaf),
            ("note", Leaf),
        ]),
    ),
    ("tickets", Node::Table(&[("allow", Leaf)])),
    (
        "modem",
        Node::Table(&[
            ("name", Leaf),
            ("path", Leaf),
            ("baud", Leaf),
            ("address", Leaf),
            ("listen", Leaf),
            ("allow", Leaf),
            ("daily_per_number", Leaf),
        ]),
    ),
    (
        "camera",
        Node::Table(&[
            ("id", Leaf),
            ("window", Leaf),
            ("name", Leaf),
            ("url", Leaf),
            ("sub_url", Leaf),
            ("user", Leaf),
            ("credential", Leaf),
        ]),
    ),
    ("onvif", Free),
    ("transcoding", Node::Table(&[("at_once", Leaf), ("max_height", Leaf), ("kilobits", Leaf)])),
    (
        "inspection",
        Node::Table(&[
            ("every_seconds", Leaf),
            ("stills_megabytes", Leaf),
            ("camera", Free),
            ("enabled", Leaf),
            ("black_luma", Leaf),
            ("black_seconds", Leaf),
            ("frozen_seconds", Leaf),
            ("blocked_seconds", Leaf),
            ("focus_share", Leaf),
            ("focus_seconds", Leaf),
            ("moved_likeness", Leaf),
            ("moved_seconds", Leaf),
            ("clear_seconds", Leaf),
            ("seat", Leaf),
            ("seat_region", Leaf),
            ("seat_occupied_share", Leaf),
            ("seat_empty_share", Leaf),
            ("seat_occupied_seconds", Leaf),
            ("seat_empty_seconds", Leaf),
            ("seat_learn_minutes", Leaf),
        ]),
    ),
    ("video", Node::Table(&[("keep_sub", Leaf), ("main_linger_seconds", Leaf)])),
    (
        "recording",
        Node::Table(&[
            ("enabled", Leaf),
            ("folder", Leaf),
            ("stream", Leaf),
            ("sound", Leaf),
            ("days", Leaf),
            ("gigabytes_per_camera", Leaf),
            ("keep_free_gigabytes", Leaf),
            ("segment_seconds", Leaf),
            ("sync_milliseconds", Leaf),
            ("hold_days", Leaf),
            ("hold_alarms", Leaf),
            ("hold_alarm_days", Leaf),
            ("except", Leaf),
        ]),
    ),
]);

/// What is wrong with the file's names, one line each.
pub(super) fn unknown(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    walk(table, &ROOT, "", &mut found);
    found
}

fn walk(table: &Table, node: &Node, path: &str, found: &mut Vec<String>) {
    let Node::Table(known) = node else { return };
    for (name, value) in table {
        let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match known.iter().find(|(known, _)| known == name) {
            None => found.push(complain(&here, name, known)),
            Some((_, child)) => match value {
                Value::Table(inner) => walk(inner, child, &here, found),
                Value::Array(items) => {
                    for (i, item) in items.iter().enumerate() {
                        if let Value::Table(inner) = item {
                            walk(inner, child, &format!("{here}[{i}]"), found);
                        }
                    }
                }
                _ => {}
            },
        }
    }
}

fn complain(path: &str, name: &str, known: &[(&str, Node)]) -> String {
    let nearest = known
        .iter()
        .map(|(known, _)| (strsim::damerau_levenshtein(name, known), *known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(3) / 2);
    match nearest {
        Some((_, nearest)) => format!("{path} is not a setting; did you mean {nearest}?"),
        None => {
            let names: Vec<&str> = known.iter().map(|(known, _)| *known).collect();
            format!("{path} is not a setting; here there are: {}", names.join(", "))
        }
    }
}
