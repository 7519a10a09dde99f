//! A sheet as XLSX: title, facts, a head of two rows that stays in sight and stands on each printed page, the rows, the total, the
//! legend and lines to sign; A3 landscape, one page wide.

use rust_xlsxwriter::{Color, Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError};

use super::{Sheet, Value};
use crate::attendance::calendar::DayKind;

/// Rows of the head begin here.
const HEAD: u32 = 4;
/// Widths, in characters of the default font.
const WHO_WIDTHS: [f64; 5] = [5.0, 10.0, 9.0, 16.0, 16.0];
const DAY_WIDTH: f64 = 3.4;
const FIGURE_WIDTH: f64 = 7.6;
const SIGN_WIDTH: f64 = 10.0;
/// A3.
const PAPER: u8 = 8;
/// What is nought is shown as a dash.
const COUNT: &str = "0;-0;\"—\"";
const DECIMAL: &str = "0.0;-0.0;\"—\"";

struct Formats {
    title: Format,
    fact: Format,
    head: Format,
    head_rest: Format,
    text: Format,
    name: Format,
    day: Format,
    day_rest: Format,
    count: Format,
    decimal: Format,
    total: Format,
    total_count: Format,
    total_decimal: Format,
    legend: Format,
}

impl Formats {
    fn new() -> Self {
        let base = Format::new().set_font_name("宋体").set_font_size(10);
        let middle = |format: Format| format.set_align(FormatAlign::VerticalCenter);
        let cell = middle(base.clone()).set_border(FormatBorder::Thin).set_align(FormatAlign::Center);
        let rest = Color::RGB(0x00EC_EFF2);
        let head = cell.clone().set_bold().set_text_wrap().set_background_color(Color::RGB(0x00DC_E6F1));
        let total = cell.clone().set_bold().set_background_color(Color::RGB(0x00F2_F2F2));
        Self {
            title: middle(base.clone()).set_bold().set_font_size(18).set_align(FormatAlign::Center),
            fact: middle(base.clone()),
            head_rest: head.clone().set_background_color(Color::RGB(0x00C9_CFD6)),
            head,
            name: cell.clone().set_align(FormatAlign::Left).set_text_wrap(),
            text: cell.clone(),
            day: cell.clone(),
            day_rest: cell.clone().set_background_color(rest),
            count: cell.clone().set_num_format(COUNT),
            decimal: cell.clone().set_num_format(DECIMAL),
            total_count: total.clone().set_num_format(COUNT),
            total_decimal: total.clone().set_num_format(DECIMAL),
            total,
            legend: middle(base).set_font_size(9).set_text_wrap(),
        }
    }
}

/// The file.
///
/// # Errors
/// The library's: a limit of the format is passed.
pub(super) fn write(sheet: &Sheet) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let formats = Formats::new();
    let page = book.add_worksheet();
    page.set_name(sheet.words.sheet)?;
    let days_at = WHO_WIDTHS.len() as u16;
    let figures_at = days_at + sheet.dates.len() as u16;
    let sign_at = figures_at + sheet.figures.len() as u16;
    widths(page, days_at, figures_at, sign_at)?;
    facts(page, sheet, &formats, sign_at)?;
    head(page, sheet, &formats, days_at, figures_at, sign_at)?;
    let mut at = HEAD + 2;
    for row in &sheet.rows {
        page.set_row_height(at, 20)?;
        for (n, text) in row.who.iter().enumerate() {
            let format = if n == 3 || n == 4 { &formats.name } else { &formats.text };
            if n == 0 {
                page.write_number_with_format(at, 0, text.parse::<f64>().unwrap_or_default(), format)?;
            } else {
                page.write_string_with_format(at, n as u16, text, format)?;
            }
        }
        for (n, (symbol, (_, kind))) in row.days.iter().zip(&sheet.dates).enumerate() {
            let format = if kind.is_work() { &formats.day } else { &formats.day_rest };
            page.write_string_with_format(at, days_at + n as u16, symbol, format)?;
        }
        figures(page, at, figures_at, &row.figures, [&formats.count, &formats.decimal])?;
        page.write_blank(at, sign_at, &formats.text)?;
        at += 1;
    }
    page.set_row_height(at, 22)?;
    page.merge_range(at, 0, at, figures_at - 1, sheet.words.total, &formats.total)?;
    figures(page, at, figures_at, &sheet.total, [&formats.total_count, &formats.total_decimal])?;
    page.write_blank(at, sign_at, &formats.total)?;
    let last = at;
    page.set_row_height(at + 1, 30)?;
    page.merge_range(at + 1, 0, at + 1, sign_at, sheet.words.legend, &formats.legend)?;
    page.set_freeze_panes(HEAD + 2, 3)?;
    page.set_landscape();
    page.set_paper_size(PAPER);
    page.set_print_fit_to_pages(1, 0);
    page.set_repeat_rows(HEAD, HEAD + 1)?;
    page.set_print_area(0, 0, last + 1, sign_at)?;
    page.set_margins(0.4, 0.4, 0.5, 0.6, 0.3, 0.3);
    page.set_footer("&C&P / &N");
    book.save_to_buffer()
}

fn widths(page: &mut Worksheet, days_at: u16, figures_at: u16, sign_at: u16) -> Result<(), XlsxError> {
    for (n, width) in WHO_WIDTHS.iter().enumerate() {
        page.set_column_width(n as u16, *width)?;
    }
    for column in days_at..figures_at {
        page.set_column_width(column, DAY_WIDTH)?;
    }
    for column in figures_at..sign_at {
        page.set_column_width(column, FIGURE_WIDTH)?;
    }
    page.set_column_width(sign_at, SIGN_WIDTH)?;
    Ok(())
}

/// The title, and below it the facts in two lines, four in a line.
fn facts(page: &mut Worksheet, sheet: &Sheet, formats: &Formats, sign_at: u16) -> Result<(), XlsxError> {
    page.set_row_height(0, 34)?;
    page.merge_range(0, 0, 0, sign_at, &sheet.title, &formats.title)?;
    let across = (sign_at + 1) / 4;
    for (n, (name, value)) in sheet.facts.iter().enumerate() {
        let (row, place) = (1 + (n / 4) as u32, (n % 4) as u16);
        let from = place * across;
        let to = if place == 3 { sign_at } else { from + across - 1 };
        let text = format!("{name}：{}", if value.is_empty() { "____________" } else { value });
        page.set_row_height(row, 20)?;
        page.merge_range(row, from, row, to, &text, &formats.fact)?;
    }
    page.set_row_height(HEAD - 1, 4)?;
    Ok(())
}

fn head(
    page: &mut Worksheet,
    sheet: &Sheet,
    formats: &Formats,
    days_at: u16,
    figures_at: u16,
    sign_at: u16,
) -> Result<(), XlsxError> {
    let words = sheet.words;
    page.set_row_height(HEAD, 26)?;
    page.set_row_height(HEAD + 1, 26)?;
    for (n, head) in words.who.iter().enumerate() {
        page.merge_range(HEAD, n as u16, HEAD + 1, n as u16, head, &formats.head)?;
    }
    for (n, (date, kind)) in sheet.dates.iter().enumerate() {
        let format = if *kind == DayKind::Workday || *kind == DayKind::MakeUp {
            &formats.head
        } else {
            &formats.head_rest
        };
        let column = days_at + n as u16;
        page.write_number_with_format(HEAD, column, f64::from(date.day()), format)?;
        let weekday = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
        page.write_string_with_format(
            HEAD + 1,
            column,
            words.weekdays.get(weekday).copied().unwrap_or_default(),
            format,
        )?;
    }
    let mut n = 0;
    while let Some(column) = sheet.figures.get(n) {
        let at = figures_at + n as u16;
        let Some(group) = column.group else {
            page.merge_range(HEAD, at, HEAD + 1, at, column.head, &formats.head)?;
            n += 1;
            continue;
        };
        let members = sheet.figures.iter().skip(n).take_while(|other| other.group == Some(group)).count();
        page.merge_range(HEAD, at, HEAD, at + members as u16 - 1, group, &formats.head)?;
        for (m, member) in sheet.figures.iter().skip(n).take(members).enumerate() {
            page.write_string_with_format(HEAD + 1, at + m as u16, member.head, &formats.head)?;
        }
        n += members;
    }
    page.merge_range(HEAD, sign_at, HEAD + 1, sign_at, words.sign, &formats.head)?;
    Ok(())
}

/// Writes figures; `formats` are of counts and of decimals.
fn figures(
    page: &mut Worksheet,
    row: u32,
    from: u16,
    values: &[Value],
    formats: [&Format; 2],
) -> Result<(), XlsxError> {
    for (n, value) in values.iter().enumerate() {
        let format = match value {
            Value::Count(_) => formats[0],
            Value::Halves(_) | Value::Minutes(_) => formats[1],
        };
        page.write_number_with_format(row, from + n as u16, value.number(), format)?;
    }
    Ok(())
}
