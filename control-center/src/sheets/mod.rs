//! What a table of the site shows, as a file: CSV (UTF-8 with a mark, so that spreadsheets read Chinese) and XLSX. A room says
//! what stands in the table; here is only how it is written. Never reads the store and never decides who may see a row.

mod csv;
mod xlsx;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use control_protocol::UtcMillis;
use futures_util::Stream;
use http::{HeaderValue, header};
use jiff::{civil::Date, tz::TimeZone};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{site::problem::Problem, store::StoreError};

/// The most rows of one XLSX; more of them is a CSV.
pub const MOST_XLSX_ROWS: usize = 50_000;

/// The language of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
pub enum Tongue {
    /// 简体中文.
    #[default]
    #[serde(rename = "zh-CN", alias = "zh")]
    Chinese,
    /// English.
    #[serde(rename = "en")]
    English,
}

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values.
    Csv,
    /// A workbook.
    Xlsx,
}

/// In which language a file is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TongueAsked {
    /// `zh-CN` (as without it) or `en`.
    #[serde(default)]
    #[param(inline, example = "zh-CN")]
    pub lang: Tongue,
}

impl Tongue {
    /// One of two words.
    pub fn of(self, chinese: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Chinese => chinese,
            Self::English => english,
        }
    }
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing is known.
    None,
    /// A text.
    Text(String),
    /// A number of things.
    Count(i64),
    /// A share, 0 to 1, shown in percent with two decimals.
    Share(f64),
    /// A length of time in seconds.
    Seconds(f64),
    /// A number with two decimals.
    Score(f64),
    /// A moment.
    At(UtcMillis),
    /// A day.
    Day(Date),
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::None, Self::Text)
    }
}

impl Value {
    /// A value that may be unknown.
    pub fn known<T>(value: Option<T>, of: impl Fn(T) -> Self) -> Self {
        value.map_or(Self::None, of)
    }

    /// As people read it; the moment in the zone `zone`.
    fn text(&self, zone: &TimeZone) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Share(share) => format!("{:.2}%", share * 100.0),
            Self::Seconds(seconds) => format!("{seconds:.0}"),
            Self::Score(score) => format!("{score:.2}"),
            Self::At(at) => moment(*at, zone),
            Self::Day(day) => day.to_string(),
        }
    }
}

fn moment(at: UtcMillis, zone: &TimeZone) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

/// A table with what stands above it.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The file's name without its ending, and the title.
    pub title: String,
    /// Which period, which place, who made it: a name and a text each.
    pub facts: Vec<(String, String)>,
    /// The heads of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
    /// The row of sums.
    pub total: Option<Vec<Value>>,
    /// The zone in which moments are written.
    pub zone: TimeZone,
}

impl Sheet {
    /// The whole table as a file of this form.
    ///
    /// # Errors
    /// Too many rows for an XLSX.
    pub async fn file(self, form: Form) -> Result<Response, Problem> {
        match form {
            Form::Csv => Ok(self.csv()),
            // Thousands of rows take longer than a runtime thread should be held.
            Form::Xlsx => {
                tokio::task::spawn_blocking(move || self.xlsx()).await.map_err(|_| StoreError::Closed)?
            }
        }
    }

    /// The whole table as CSV.
    fn csv(&self) -> Response {
        let mut out = csv::head(&self.title, &self.facts, &self.columns);
        for row in self.rows.iter().chain(&self.total) {
            csv::row(&mut out, row, &self.zone);
        }
        file(&self.title, "csv", CSV, Body::from(out))
    }

    /// The whole table as XLSX.
    fn xlsx(&self) -> Result<Response, Problem> {
        if self.rows.len() > MOST_XLSX_ROWS {
            return Err(Problem::unprocessable(format!(
                "an XLSX has at most {MOST_XLSX_ROWS} rows: narrow the table down, or take the CSV"
            )));
        }
        let bytes = xlsx::write(self).map_err(|error| {
            tracing::error!(%error, "a sheet could not be written");
            Problem::new(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                "the sheet could not be written: take the CSV",
            )
        })?;
        Ok(file(&self.title, "xlsx", XLSX, Body::from(bytes)))
    }
}

const CSV: &str = "text/csv; charset=utf-8";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// A CSV whose rows come part by part, for tables that are not held in memory.
pub fn streamed_csv<E>(
    title: &str,
    facts: &[(String, String)],
    columns: &[String],
    parts: impl Stream<Item = Result<Vec<Vec<Value>>, E>> + Send + 'static,
    zone: TimeZone,
) -> Response
where
    E: std::error::Error + Send + Sync + 'static,
{
    use futures_util::StreamExt;
    let head = Bytes::from(csv::head(title, facts, columns));
    let rows = parts.map(move |part| {
        part.map(|rows| {
            let mut out = String::new();
            for row in &rows {
                csv::row(&mut out, row, &zone);
            }
            Bytes::from(out)
        })
    });
    let whole = futures_util::stream::once(async move { Ok(head) }).chain(rows);
    // Compression asks once more after the end, which not every stream bears.
    file(title, "csv", CSV, Body::from_stream(whole.fuse()))
}

/// A file to be kept under this name, which may be Chinese (RFC 6266).
fn file(title: &str, ending: &str, kind: &'static str, body: Body) -> Response {
    let mut name = String::new();
    for byte in format!("{title}.{ending}").bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    let disposition = format!("attachment; filename=\"table.{ending}\"; filename*=UTF-8''{name}");
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        Sheet {
            title: "统计报表 2026-11".into(),
            facts: vec![("统计期间".into(), "2026-11-01 至 2026-11-30".into())],
            columns: vec!["大厅".into(), "取号量".into(), "主动满意率".into(), "更新".into()],
            rows: vec![
                vec![
                    Value::Text("=1+1, \"厅\"".into()),
                    Value::Count(-3),
                    Value::Share(0.99437),
                    Value::At(UtcMillis(1_795_309_200_000)),
                ],
                vec![Value::Text("乙".into()), Value::Count(5), Value::None, Value::None],
            ],
            total: Some(vec![Value::Text("合计".into()), Value::Count(2), Value::None, Value::None]),
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
        }
    }

    async fn bytes(response: Response) -> Bytes {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
    }

    #[tokio::test]
    async fn a_csv_is_read_by_a_spreadsheet_and_is_never_a_formula() {
        let response = sheet().csv();
        let name = response.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().to_owned();
        assert!(name.ends_with("%202026-11.csv"), "{name}");
        let text = String::from_utf8(bytes(response).await.to_vec()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(
            lines,
            [
                "\u{feff}统计报表 2026-11",
                "统计期间,2026-11-01 至 2026-11-30",
                "大厅,取号量,主动满意率,更新",
                "\"'=1+1, \"\"厅\"\"\",-3,99.44%,2026-11-22 09:00:00",
                "乙,5,,",
                "合计,2,,",
                "",
            ]
        );
    }

    #[tokio::test]
    async fn an_xlsx_is_a_zip_with_a_sheet() {
        let bytes = bytes(sheet().xlsx().unwrap()).await;
        assert!(bytes.starts_with(b"PK"), "{:?}", &bytes[..4]);
    }

    #[tokio::test]
    async fn a_streamed_csv_is_the_same_as_a_whole_one() {
        let sheet = sheet();
        let mut rows = sheet.rows.clone();
        rows.extend(sheet.total.clone());
        let parts: Vec<Result<_, std::io::Error>> = rows.into_iter().map(|row| Ok(vec![row])).collect();
        let parts = futures_util::stream::iter(parts);
        let streamed = streamed_csv(&sheet.title, &sheet.facts, &sheet.columns, parts, sheet.zone.clone());
        assert_eq!(bytes(streamed).await, bytes(sheet.csv()).await);
    }

    #[tokio::test]
    async fn a_streamed_csv_may_be_asked_after_its_end() {
        use futures_util::StreamExt;
        let sheet = sheet();
        let parts = futures_util::stream::unfold(sheet.rows.into_iter(), async |mut rows| {
            rows.next().map(|row| (Ok::<_, std::io::Error>(vec![row]), rows))
        });
        let streamed = streamed_csv(&sheet.title, &sheet.facts, &sheet.columns, parts, sheet.zone);
        let mut body = streamed.into_body().into_data_stream();
        while let Some(part) = body.next().await {
            part.unwrap();
        }
        assert!(body.next().await.is_none());
    }
}
