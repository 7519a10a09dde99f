//! A sheet as CSV: UTF-8 with a byte order mark, so that spreadsheets read Chinese; CRLF (RFC 4180).

use super::{Sheet, Value};

/// The file.
pub(super) fn write(sheet: &Sheet) -> Vec<u8> {
    let words = sheet.words;
    let mut out = String::from("\u{feff}");
    line(&mut out, [sheet.title.clone()]);
    for (name, value) in &sheet.facts {
        line(&mut out, [(*name).to_owned(), value.clone()]);
    }
    let head = words.who.iter().map(|head| (*head).to_owned());
    let days = sheet.dates.iter().map(|(date, _)| date.to_string());
    let figures = sheet.figures.iter().map(|column| match column.group {
        Some(group) => format!("{group}·{}", column.head),
        None => column.head.to_owned(),
    });
    line(&mut out, head.chain(days).chain(figures));
    for row in &sheet.rows {
        line(
            &mut out,
            row.who.iter().cloned().chain(row.days.iter().cloned()).chain(row.figures.iter().map(text)),
        );
    }
    let blanks = std::iter::repeat_n(String::new(), words.who.len() - 1 + sheet.dates.len());
    line(&mut out, [words.total.to_owned()].into_iter().chain(blanks).chain(sheet.total.iter().map(text)));
    line(&mut out, [words.legend.to_owned()]);
    out.into_bytes()
}

fn text(value: &Value) -> String {
    value.number().to_string()
}

fn line(out: &mut String, cells: impl IntoIterator<Item = String>) {
    for (n, cell) in cells.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        out.push_str(&quoted(&harmless(cell)));
    }
    out.push_str("\r\n");
}

/// A name that a spreadsheet would take for a formula begins with an apostrophe.
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_two() {
        assert_eq!(quoted(&harmless("=1+1".into())), "'=1+1");
        assert_eq!(quoted(&harmless("王, \"老师\"".into())), "\"王, \"\"老师\"\"\"");
        assert_eq!(quoted(&harmless("1.5".into())), "1.5");
    }
}
