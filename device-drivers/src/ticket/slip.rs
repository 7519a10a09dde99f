//! What stands on a queue ticket of ours, laid out for the paper's width. Pure.

use super::print::{Align, Printout};

/// A queue ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketSlip {
    /// Name of the hall, on top.
    pub hall: String,
    /// Ticket number, printed as large as the paper takes.
    pub number: String,
    /// The business it is for.
    pub business: String,
    /// People waiting before this one.
    pub waiting: u32,
    /// Local time of issue.
    pub at: jiff::civil::DateTime,
    /// The case ID: content of the QR code, and printed below it for whoever cannot scan.
    pub case: String,
    /// A last line, such as "过号请重新取号"; empty = none.
    pub note: String,
}

/// The roll a printer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PaperWidth {
    /// 58 mm: 384 dots, 32 narrow characters.
    #[serde(rename = "58mm")]
    Mm58,
    /// 80 mm: 576 dots, 48 narrow characters.
    #[default]
    #[serde(rename = "80mm")]
    Mm80,
}

impl PaperWidth {
    /// Narrow characters on a line at the usual size; a Chinese character takes two.
    pub fn columns(self) -> usize {
        match self {
            Self::Mm58 => 32,
            Self::Mm80 => 48,
        }
    }
}

impl TicketSlip {
    /// The bytes a printer gets, cut included.
    pub fn printout(&self, paper: PaperWidth) -> Printout {
        let columns = paper.columns();
        let number = one_line(&self.number);
        let mut out = Printout::new().align(Align::Centre);
        let hall = one_line(&self.hall);
        let title = if width(&hall) * 2 <= columns { 2 } else { 1 };
        out = out.bold(true).size(title, title);
        for line in wrapped(&hall, columns / usize::from(title)) {
            out = out.line(line);
        }
        let large = (columns / width(&number).max(1)).clamp(1, 6) as u8;
        out = out.size(large, large).line(&number).size(1, 1).bold(false).align(Align::Left);
        for text in [
            format!("业务：{}", one_line(&self.business)),
            format!("您前面等候：{} 人", self.waiting),
            format!("时间：{}", self.at.strftime("%Y-%m-%d %H:%M:%S")),
        ] {
            for line in wrapped(&text, columns) {
                out = out.line(line);
            }
        }
        let case = one_line(&self.case);
        if !case.is_empty() {
            out = out.align(Align::Centre).qr(case.as_bytes(), 6).line(&case);
        }
        for line in wrapped(&one_line(&self.note), columns) {
            out = out.line(line);
        }
        out.feed(4).cut()
    }
}

/// Without control characters: none of them may reach a printer from outside.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// Columns a character takes: what GB18030 writes in one byte takes one.
fn char_width(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Cuts a text into lines of at most `columns`.
fn wrapped(text: &str, columns: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (at, c) in text.char_indices() {
        if used + char_width(c) > columns && at > start {
            lines.push(&text[start..at]);
            (start, used) = (at, 0);
        }
        used += char_width(c);
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::escpos::{Reader, SlipEnd};

    fn slip() -> TicketSlip {
        TicketSlip {
            hall: "西乡塘区政务服务中心".into(),
            number: "A001".into(),
            business: "社会保险".into(),
            waiting: 3,
            at: jiff::civil::date(2026, 11, 22).at(9, 1, 2, 0),
            case: "450103-01-20261122-00001-X".into(),
            note: "过号请重新取号".into(),
        }
    }

    fn read(bytes: Vec<u8>) -> crate::ticket::escpos::Slip {
        let mut reader = Reader::new();
        reader.push(&bytes);
        reader.next_slip().unwrap()
    }

    #[test]
    fn a_ticket_is_laid_out_and_read_back() {
        for (paper, large) in [(PaperWidth::Mm80, 6), (PaperWidth::Mm58, 6)] {
            let read = read(slip().printout(paper).into_bytes());
            assert_eq!(
                read.text(),
                "西乡塘区政务服务中心\nA001\n业务：社会保险\n您前面等候：3 人\n时间：2026-11-22 09:01:02\n\
                 450103-01-20261122-00001-X\n过号请重新取号"
            );
            assert_eq!((read.lines[1].width, read.lines[1].align), (large, Align::Centre));
            assert_eq!(read.symbols, [b"450103-01-20261122-00001-X".to_vec()]);
            assert_eq!(read.end, SlipEnd::FullCut);
        }
    }

    #[test]
    fn long_names_are_wrapped_and_control_characters_never_reach_the_printer() {
        let long = TicketSlip {
            hall: "南宁市西乡塘区人民政府政务服务管理办公室综合服务大厅一楼东侧".into(),
            business: format!("x\u{1b}@\u{10}\u{4}\u{1}{}", "不动产登记".repeat(20)),
            ..slip()
        };
        let bytes = long.printout(PaperWidth::Mm58).into_bytes();
        assert!(!bytes.windows(2).any(|pair| pair == [0x10, 0x04]));
        let read = read(bytes);
        assert!(read.lines.iter().all(|l| width(&l.text) * usize::from(l.width) <= 32), "{read:?}");
        assert!(read.text().replace('\n', "").contains(&"不动产登记".repeat(20)));
    }
}
