//! Reports and comparisons as files: the same rows and figures that the page shows.

use axum::{extract::State, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    period::Length,
    report::{self, Comparison, ComparisonAsked, Report, ReportAsked, ReportRow, Sum},
};
use crate::{
    Centre,
    access::Person,
    sheets::{Form, Sheet, Tongue, TongueAsked, Value},
    site::{
        extract::{Asked, Named},
        problem::Problem,
    },
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new()
        .routes(routes!(report_csv))
        .routes(routes!(report_xlsx))
        .routes(routes!(comparison_csv))
        .routes(routes!(comparison_xlsx))
}

/// How a figure is written.
#[derive(Clone, Copy)]
enum Kind {
    Count,
    Share,
    Seconds,
    Score,
}

impl Kind {
    fn value(self, figure: Option<f64>) -> Value {
        Value::known(figure, |figure| match self {
            // A count is a whole number that was made a float for the comparison.
            Self::Count => Value::Count(figure.round() as i64),
            Self::Share => Value::Share(figure),
            Self::Seconds => Value::Seconds(figure),
            Self::Score => Value::Score(figure),
        })
    }
}

/// The figures of a report, in the order of the page: name in the API, names for people, kind.
static FIGURES: [(&str, &str, &str, Kind); 13] = [
    ("arrivals", "取号量", "Tickets taken", Kind::Count),
    ("served", "办理量", "Served", Kind::Count),
    ("no_show_rate", "弃号率", "No-shows", Kind::Share),
    ("average_wait_s", "平均等候", "Average wait", Kind::Seconds),
    ("p90_wait_s", "九成等候不超过", "P90 wait", Kind::Seconds),
    ("service_level", "15 分钟内叫号率", "Called within 15 min", Kind::Share),
    ("average_service_s", "平均办理", "Average service", Kind::Seconds),
    ("utilisation", "窗口利用率", "Utilisation", Kind::Share),
    ("given", "评价数", "Ratings", Kind::Count),
    ("active_rate", "主动评价率", "Active rate", Kind::Share),
    ("satisfied", "主动满意率", "Satisfied (active)", Kind::Share),
    ("bad_rate", "差评率", "Bad ratings", Kind::Share),
    ("score", "平均分", "Score", Kind::Score),
];

fn period_name(length: Length, tongue: Tongue) -> &'static str {
    match length {
        Length::Day => tongue.of("日报", "day"),
        Length::Week => tongue.of("周报", "week"),
        Length::Month => tongue.of("月报", "month"),
        Length::Quarter => tongue.of("季报", "quarter"),
        Length::Year => tongue.of("年报", "year"),
    }
}

/// What a report and a comparison have in common: places down the side, figures beside them, the sum below.
struct Table<'a> {
    title: String,
    days: report::Days,
    place: &'a str,
    /// The heads of the columns; the first is that of the places.
    columns: Vec<String>,
    rows: Vec<Line<'a>>,
    total: Line<'a>,
}

/// A place and its figures.
struct Line<'a>(&'a str, Vec<Value>);

impl Line<'_> {
    fn cells(self) -> Vec<Value> {
        std::iter::once(Value::Text(self.0.to_owned())).chain(self.1).collect()
    }
}

impl Table<'_> {
    fn sheet(self, person: &Person, tongue: Tongue) -> Sheet {
        let fact = |chinese, english, text: String| (tongue.of(chinese, english).to_owned(), text);
        let days = format!("{} {} {}", self.days.from, tongue.of("至", "to"), self.days.to);
        Sheet {
            title: self.title,
            facts: vec![
                fact("统计期间", "Period", days),
                fact("统计范围", "Place", self.place.to_owned()),
                fact("制表人", "Made by", person.name.to_string()),
                fact("审核人", "Checked by", String::new()),
            ],
            columns: self.columns,
            rows: self.rows.into_iter().map(Line::cells).collect(),
            total: Some(self.total.cells()),
            zone: jiff::tz::TimeZone::UTC,
        }
    }
}

fn of_report(report: &Report, tongue: Tongue) -> Result<Table<'_>, Problem> {
    let mut columns = vec![tongue.of("区域或大厅", "Area or hall").to_owned()];
    for (_, chinese, english, _) in FIGURES {
        let name = tongue.of(chinese, english);
        columns.push(name.to_owned());
        columns.push(format!("{name}·{}", tongue.of("上期", "before")));
        columns.push(format!("{name}·{}", tongue.of("上年同期", "year ago")));
    }
    let values = |row: &ReportRow| -> Result<Vec<Value>, Problem> {
        let mut values = Vec::with_capacity(3 * FIGURES.len());
        for (figure, _, _, kind) in FIGURES {
            for sum in [Some(&row.now), row.before.as_ref(), row.year_ago.as_ref()] {
                values.push(kind.value(sum.map_or(Ok(None), |sum: &Sum| sum.figure(figure))?));
            }
        }
        Ok(values)
    };
    let own = std::slice::from_ref(&report.total);
    let rows = if report.rows.is_empty() { own } else { &report.rows };
    Ok(Table {
        title: format!("{} {} {}", report.name, period_name(report.period, tongue), report.days.from),
        days: report.days,
        place: &report.name,
        columns,
        rows: rows.iter().map(|row| Ok(Line(&row.name, values(row)?))).collect::<Result<_, Problem>>()?,
        total: Line(tongue.of("合计", "Total"), values(&report.total)?),
    })
}

fn of_comparison(comparison: &Comparison, tongue: Tongue) -> Result<Table<'_>, Problem> {
    let named = FIGURES.iter().find(|(name, ..)| *name == comparison.figure);
    let (_, chinese, english, kind) =
        named.ok_or_else(|| Problem::unprocessable("figure: none of this name"))?;
    let mut columns = vec![tongue.of("大厅", "Hall").to_owned(), tongue.of("合计", "Total").to_owned()];
    columns.extend(comparison.parts.iter().map(ToString::to_string));
    let line = |course: &'_ report::HallCourse| -> Vec<Value> {
        std::iter::once(&course.total).chain(&course.values).map(|value| kind.value(*value)).collect()
    };
    let title = tongue.of("大厅对比", "Halls compared");
    Ok(Table {
        title: format!("{title} {} {}", tongue.of(chinese, english), comparison.days.from),
        days: comparison.days,
        place: &comparison.all.name,
        columns,
        rows: comparison.halls.iter().map(|course| Line(&course.name, line(course))).collect(),
        total: Line(&comparison.all.name, line(&comparison.all)),
    })
}

async fn report_file(
    centre: &Centre,
    person: &Person,
    (area, asked): (String, ReportAsked),
    (form, tongue): (Form, Tongue),
) -> Result<Response, Problem> {
    let report = report::put_together(centre, person, area, asked).await?;
    of_report(&report, tongue)?.sheet(person, tongue).file(form).await
}

async fn comparison_file(
    centre: &Centre,
    person: &Person,
    (area, asked): (String, ComparisonAsked),
    (form, tongue): (Form, Tongue),
) -> Result<Response, Problem> {
    let comparison = report::compare(centre, person, area, asked).await?;
    of_comparison(&comparison, tongue)?.sheet(person, tongue).file(form).await
}

/// The report as CSV.
#[utoipa::path(get, path = "/areas/{area}/report.csv", tag = "supervision",
    params(("area" = String, Path, description = "id of an area, or of a hall", example = "450100"), ReportAsked, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn report_csv(
    State(centre): State<Centre>,
    person: Person,
    Named(area): Named<String>,
    Asked(asked): Asked<ReportAsked>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    report_file(&centre, &person, (area, asked), (Form::Csv, lang)).await
}

/// The report as XLSX.
#[utoipa::path(get, path = "/areas/{area}/report.xlsx", tag = "supervision",
    params(("area" = String, Path, description = "id of an area, or of a hall", example = "450100"), ReportAsked, TongueAsked),
    responses((status = 200, description = "an Office Open XML workbook", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn report_xlsx(
    State(centre): State<Centre>,
    person: Person,
    Named(area): Named<String>,
    Asked(asked): Asked<ReportAsked>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    report_file(&centre, &person, (area, asked), (Form::Xlsx, lang)).await
}

/// The comparison as CSV.
#[utoipa::path(get, path = "/areas/{area}/comparison.csv", tag = "supervision",
    params(("area" = String, Path, description = "id of an area, or of a hall", example = "450100"), ComparisonAsked, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn comparison_csv(
    State(centre): State<Centre>,
    person: Person,
    Named(area): Named<String>,
    Asked(asked): Asked<ComparisonAsked>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    comparison_file(&centre, &person, (area, asked), (Form::Csv, lang)).await
}

/// The comparison as XLSX.
#[utoipa::path(get, path = "/areas/{area}/comparison.xlsx", tag = "supervision",
    params(("area" = String, Path, description = "id of an area, or of a hall", example = "450100"), ComparisonAsked, TongueAsked),
    responses((status = 200, description = "an Office Open XML workbook", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn comparison_xlsx(
    State(centre): State<Centre>,
    person: Person,
    Named(area): Named<String>,
    Asked(asked): Asked<ComparisonAsked>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    comparison_file(&centre, &person, (area, asked), (Form::Xlsx, lang)).await
}
