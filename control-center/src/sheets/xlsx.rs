//! A sheet as XLSX: title, facts, heads that stay in sight and stand on each printed page, rows, sums; A4 landscape, one
//! page wide. Numbers are numbers, so that they can be added up.

use rust_xlsxwriter::{Color, Format, FormatAlign, FormatBorder, Workbook, XlsxError};

use super::{Sheet, Value};

/// A4.
const PAPER: u8 = 9;
/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// The file.
pub(super) fn write(sheet: &Sheet) -> Result<Vec<u8>, XlsxError> {
    let base = Format::new().set_font_name("宋体").set_font_size(10);
    let title = base.clone().set_bold().set_font_size(16);
    let cell = base.clone().set_border(FormatBorder::Thin);
    let head = cell
        .clone()
        .set_bold()
        .set_text_wrap()
        .set_align(FormatAlign::Center)
        .set_background_color(Color::RGB(0x00DC_E6F1));
    let sum = cell.clone().set_bold().set_background_color(Color::RGB(0x00F2_F2F2));

    let mut book = Workbook::new();
    let page = book.add_worksheet();
    page.set_landscape().set_paper_size(PAPER).set_print_fit_to_pages(1, 0);
    page.write_string_with_format(0, 0, &sheet.title, &title)?;
    let mut at: u32 = 1;
    for (name, text) in &sheet.facts {
        page.write_string_with_format(at, 0, name, &base)?;
        page.write_string_with_format(at, 1, text, &base)?;
        at += 1;
    }
    let head_row = at;
    for (column, name) in (0u16..).zip(&sheet.columns) {
        page.write_string_with_format(head_row, column, name, &head)?;
        page.set_column_width(column, width(sheet, column))?;
    }
    page.set_freeze_panes(head_row + 1, 1)?.set_repeat_rows(head_row, head_row)?;
    let formats = |base: &Format| Formats {
        text: base.clone(),
        count: base.clone().set_num_format("#,##0"),
        share: base.clone().set_num_format("0.00%"),
        time: base.clone().set_num_format("[h]:mm:ss"),
        score: base.clone().set_num_format("0.00"),
    };
    let (plain, bold) = (formats(&cell), formats(&sum));
    at = head_row;
    for row in &sheet.rows {
        at += 1;
        plain.row(page, at, row, sheet)?;
    }
    if let Some(total) = &sheet.total {
        bold.row(page, at + 1, total, sheet)?;
    }
    book.save_to_buffer()
}

struct Formats {
    text: Format,
    count: Format,
    share: Format,
    time: Format,
    score: Format,
}

impl Formats {
    fn row(
        &self,
        page: &mut rust_xlsxwriter::Worksheet,
        at: u32,
        row: &[Value],
        sheet: &Sheet,
    ) -> Result<(), XlsxError> {
        for (column, value) in (0u16..).zip(row) {
            match value {
                // Beyond 2^53 no count of ours goes.
                Value::Count(count) => page.write_number_with_format(at, column, *count as f64, &self.count),
                Value::Share(share) => page.write_number_with_format(at, column, *share, &self.share),
                Value::Seconds(seconds) => {
                    page.write_number_with_format(at, column, seconds.round() / DAY, &self.time)
                }
                Value::Score(score) => page.write_number_with_format(at, column, *score, &self.score),
                Value::None => page.write_string_with_format(at, column, "—", &self.text),
                value => page.write_string_with_format(at, column, value.text(&sheet.zone), &self.text),
            }?;
        }
        Ok(())
    }
}

/// A width for the column, from its head and its first rows; a Chinese character is as wide as two letters.
fn width(sheet: &Sheet, column: u16) -> f64 {
    let wide = |text: &str| text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
    let cells = sheet.rows.iter().take(200).filter_map(|row| row.get(usize::from(column)));
    let longest = cells.map(|value| wide(&value.text(&sheet.zone))).max().unwrap_or(0);
    let head = sheet.columns.get(usize::from(column)).map_or(0, |head| wide(head).min(16));
    (longest.max(head).clamp(8, 44) + 2) as f64
}
