//! A table of official numbers as business systems write it: CSV with a heading, UTF-8 (with or without a mark) or
//! GB 18030, which is what spreadsheets save here. Pure: bytes in, lines out; each line is right or says what is wrong.

use control_protocol::{CaseId, HallId};
use jiff::civil::Date;

/// Whose number a line has.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Whose {
    /// The case.
    Case(CaseId),
    /// The holder of a ticket of a hall and day.
    Ticket { hall: HallId, date: Date, ticket: String },
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) whose: Whose,
    pub(super) official_no: String,
}

/// The columns, by every name they go by.
const CASE: &[&str] = &["case_id", "case", "系统编号", "厅窗编号"];
const HALL: &[&str] = &["hall", "大厅", "大厅编号"];
const DATE: &[&str] = &["date", "日期", "取号日期"];
const TICKET: &[&str] = &["ticket", "票号", "排队号"];
const OFFICIAL: &[&str] = &["official_no", "official", "官方编号", "办件编号"];

/// The lines of a table, or why it is none.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Result<Line, String>>, String> {
    let text = match std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)) {
        Ok(text) => text.into(),
        Err(_) => {
            let (text, _, broken) = encoding_rs::GB18030.decode(bytes);
            if broken {
                return Err("the table is neither UTF-8 nor GB 18030: save it as CSV UTF-8".into());
            }
            text
        }
    };
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let heading = reader.headers().map_err(|error| format!("the heading cannot be read: {error}"))?.clone();
    let column = |names: &[&str]| {
        heading.iter().position(|found| names.iter().any(|name| found.eq_ignore_ascii_case(name)))
    };
    let (case, official) = (column(CASE), column(OFFICIAL));
    let ticket = (column(HALL), column(DATE), column(TICKET));
    if official.is_none() || (case.is_none() && !matches!(ticket, (Some(_), Some(_), Some(_)))) {
        return Err("the heading needs official_no, and case_id or hall, date and ticket".into());
    }
    Ok(reader
        .records()
        .map(|record| {
            let record = record.map_err(|error| error.to_string())?;
            let field = |at: Option<usize>| at.and_then(|at| record.get(at)).unwrap_or_default();
            line(field(case), field(ticket.0), field(ticket.1), field(ticket.2), field(official))
        })
        .collect())
}

/// A line of these fields; an empty one is none.
pub(super) fn line(
    case: &str,
    hall: &str,
    date: &str,
    ticket: &str,
    official_no: &str,
) -> Result<Line, String> {
    let whose = if case.is_empty() {
        let date = date.replace(['/', '.'], "-");
        Whose::Ticket {
            hall: hall.parse().map_err(|error| format!("{error}"))?,
            date: date.parse().map_err(|_| format!("`{date}` is not a date such as 2026-11-22"))?,
            ticket: if ticket.is_empty() { return Err("no ticket".into()) } else { ticket.to_owned() },
        }
    } else {
        Whose::Case(case.parse().map_err(|error| format!("{error}"))?)
    };
    Ok(Line { whose, official_no: official_no.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(serial: u32) -> CaseId {
        CaseId::new(&"450103-01".parse().unwrap(), jiff::civil::date(2026, 11, 22), serial).unwrap()
    }

    #[test]
    fn reads_what_spreadsheets_save() {
        let table = format!("系统编号,办件编号\r\n{},45-1\r\n{}, 45-2 \r\nx,45-3\r\n", case(1), case(2));
        let marked = [b"\xef\xbb\xbf", table.as_bytes()].concat();
        let (gb, ..) = encoding_rs::GB18030.encode(&table);
        for bytes in [table.as_bytes(), &marked, &gb] {
            let lines = read(bytes).unwrap();
            assert_eq!(lines.len(), 3);
            assert_eq!(lines[1].as_ref().unwrap().official_no, "45-2");
            assert_eq!(lines[1].as_ref().unwrap().whose, Whose::Case(case(2)));
            assert!(lines[2].as_ref().unwrap_err().contains("`x` is not a case ID"), "{lines:?}");
        }
    }

    #[test]
    fn a_ticket_of_a_day_is_as_good_as_a_case() {
        let lines =
            read(b"hall,date,ticket,official_no\n450103-01,2026/11/22,A001,1\n450103-01,22.11.,A1,2\n")
                .unwrap();
        let whose = Whose::Ticket {
            hall: "450103-01".parse().unwrap(),
            date: jiff::civil::date(2026, 11, 22),
            ticket: "A001".into(),
        };
        assert_eq!(lines[0].as_ref().unwrap().whose, whose);
        assert!(lines[1].is_err());
    }

    #[test]
    fn what_is_no_table_says_what_is_needed() {
        assert!(read(b"number\n1\n").unwrap_err().contains("official_no"));
        assert!(read(b"official_no,hall\n1,2\n").unwrap_err().contains("ticket"));
        assert!(read(&[0xff, 0xff, 0xfe]).is_err());
        assert!(read(b"").is_err());
    }
}
