//! Lines of CSV as RFC 4180 has them, with a mark at the start. A text that a spreadsheet would take for a formula gets an
//! apostrophe before it.

use jiff::tz::TimeZone;

use super::Value;

/// Title, facts and heads.
pub(super) fn head(title: &str, facts: &[(String, String)], columns: &[String]) -> String {
    let mut out = String::from("\u{feff}");
    line(&mut out, [harmless(title)]);
    for (name, text) in facts {
        line(&mut out, [harmless(name), harmless(text)]);
    }
    line(&mut out, columns.iter().map(|column| harmless(column)));
    out
}

/// A row.
pub(super) fn row(out: &mut String, row: &[Value], zone: &TimeZone) {
    let cells = row.iter().map(|value| match value {
        Value::Text(text) => harmless(text),
        value => value.text(zone),
    });
    line(out, cells);
}

fn line(out: &mut String, cells: impl IntoIterator<Item = String>) {
    for (n, cell) in cells.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}

fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}
