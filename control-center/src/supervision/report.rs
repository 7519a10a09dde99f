//! Reports of an area or a hall over a period of the calendar: what it came to, against the period before (环比) and the
//! year before (同比), by the places below it and by day or month. Every figure is worked out from the statistics room's
//! sums; a share of an area is that of its sums and never an average of averages.

use std::collections::HashMap;

use axum::{Json, extract::State};
use control_protocol::UtcMillis;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    period::{Length, Period},
    ratings::RatingFigures,
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, Scope, may},
    areas::{self, Found},
    site::{
        extract::{Asked, Named},
        problem::Problem,
    },
    statistics::{self, Load},
    store::{Sql, StoreError},
};

/// Minutes within which a ticket is to be called, the same for all so that halls can be compared.
const TARGET_MINUTES: i64 = 15;

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(report)).routes(routes!(comparison))
}

/// What a report is asked for.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportAsked {
    /// `day week month quarter year`; a month if it is not said.
    #[param(example = "month")]
    period: Option<String>,
    /// A day of the period; today if it is not said.
    #[param(value_type = Option<String>, example = "2026-11-22")]
    date: Option<Date>,
    /// `child`: the places directly below; `hall`: every hall below.
    #[param(example = "hall")]
    by: Option<String>,
}

impl ReportAsked {
    pub(super) fn period(&self, today: Date) -> Result<Period, Problem> {
        let length: Length =
            self.period.as_deref().unwrap_or("month").parse().map_err(Problem::unprocessable)?;
        Period::of(length, self.date.unwrap_or(today))
            .ok_or_else(|| Problem::unprocessable("date: beyond the calendar"))
    }

    fn by_hall(&self) -> Result<bool, Problem> {
        match self.by.as_deref() {
            None | Some("child") => Ok(false),
            Some("hall") => Ok(true),
            Some(_) => Err(Problem::unprocessable("by: child or hall")),
        }
    }
}

/// Days of the calendar, both included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub(crate) struct Days {
    /// The first.
    #[schema(value_type = String, example = "2026-11-01")]
    pub from: Date,
    /// The last.
    #[schema(value_type = String, example = "2026-11-30")]
    pub to: Date,
}

impl From<Period> for Days {
    fn from(period: Period) -> Self {
        Self { from: period.from, to: period.to }
    }
}

/// The figures of a place and time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Sum {
    /// Of the service; the service level is within 15 minutes.
    pub service: statistics::Figures,
    /// Of ratings.
    pub ratings: RatingFigures,
}

impl Sum {
    pub(super) fn of(load: &Load) -> Self {
        Self { service: load.figures(TARGET_MINUTES), ratings: RatingFigures::of(load) }
    }

    /// None where there was no business at all, so that nothing is compared with it.
    fn unless_idle(load: Option<&Load>) -> Option<Self> {
        load.filter(|load| !load.is_zero()).map(Self::of)
    }
}

/// A place of a report.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReportRow {
    /// Its id.
    #[schema(example = "450103-01")]
    pub id: String,
    /// Its name.
    #[schema(example = "青秀区政务服务中心")]
    pub name: String,
    /// `area` or `hall`.
    #[schema(example = "hall")]
    pub kind: &'static str,
    /// In the period.
    pub now: Sum,
    /// In the period before; none where it had no business.
    pub before: Option<Sum>,
    /// A year ago; none where it had no business.
    pub year_ago: Option<Sum>,
}

/// A day or a month of a report.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReportPart {
    /// Its first day.
    #[schema(value_type = String, example = "2026-11-22")]
    pub from: Date,
    /// Its figures.
    pub sum: Sum,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Report {
    /// The place's id.
    #[schema(example = "450100")]
    pub id: String,
    /// Its name.
    #[schema(example = "南宁市")]
    pub name: String,
    /// How long the period is.
    pub period: Length,
    /// Its days.
    pub days: Days,
    /// Whether it is not over: then it is compared with as many days of the others.
    pub running: bool,
    /// The days it is compared with as the period before.
    pub before: Days,
    /// The days it is compared with as a year ago: the same of the calendar; of a day or a week 52 weeks before.
    pub year_ago: Days,
    /// When this was put together.
    #[schema(value_type = String)]
    pub updated_at: UtcMillis,
    /// All of it.
    pub total: ReportRow,
    /// By place, in the tree's order.
    pub rows: Vec<ReportRow>,
    /// By day, of a year by month; days without business are left out.
    pub parts: Vec<ReportPart>,
}

/// Sums by hall, of the three periods that are compared.
struct Compared {
    now: HashMap<String, Load>,
    before: HashMap<String, Load>,
    year_ago: HashMap<String, Load>,
    parts: Vec<(Date, Load)>,
}

/// The local day of a place: of its first hall.
pub(super) fn today(sql: &mut dyn Sql, scope: &Scope, now: UtcMillis) -> Result<Date, StoreError> {
    let mut filter = crate::store::Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement("SELECT h.id FROM halls h", "ORDER BY h.path", 1);
    let zone = match sql.query_one(&statement, &params)? {
        Some(row) => statistics::zone(sql, &row.get(0)?)?,
        None => jiff::tz::TimeZone::UTC,
    };
    let at = jiff::Timestamp::from_millisecond(now.0).map_err(|error| StoreError::Read(error.to_string()))?;
    Ok(at.to_zoned(zone).date())
}

struct Asking {
    place: Place,
    period: Period,
    before: Period,
    year_ago: Period,
    running: bool,
}

/// What is to be added up, once the person may see it.
fn asking(
    sql: &mut dyn Sql,
    person: &Person,
    area: &str,
    asked: &ReportAsked,
    now: UtcMillis,
) -> Result<Asking, Problem> {
    let place = Place::of_scope(sql, area)?.ok_or(Denied::Outside)?;
    may(person, Action::SeeService, &place)?;
    let today = today(sql, &Scope::at(&place), now)?;
    let period = asked.period(today)?;
    let beyond = || Problem::unprocessable("date: beyond the calendar");
    let before = period.before().ok_or_else(beyond)?.up_to(period, today);
    let year_ago = period.year_ago().ok_or_else(beyond)?.up_to(period, today);
    let running = (period.from..=period.to).contains(&today) && period.to != today;
    Ok(Asking { place, period, before, year_ago, running })
}

fn read(sql: &mut dyn Sql, asking: &Asking) -> Result<Compared, StoreError> {
    let (scope, all) = (Scope::at(&asking.place), "/");
    let mut of = |period: Period| -> Result<HashMap<String, Load>, StoreError> {
        let totals = statistics::hall_totals(sql, &scope, all, period.from, period.to)?;
        Ok(totals.into_iter().map(|total| (total.hall, total.load)).collect())
    };
    let (now, before, year_ago) = (of(asking.period)?, of(asking.before)?, of(asking.year_ago)?);
    let Period { from, to, .. } = asking.period;
    let parts = if asking.period.by_month() {
        statistics::month_totals(sql, &scope, all, from, to)?
    } else {
        statistics::day_totals(sql, &scope, all, from, to)?
    };
    Ok(Compared { now, before, year_ago, parts })
}

/// A place of a report with its halls.
struct Member {
    id: String,
    name: String,
    kind: &'static str,
    halls: Vec<String>,
}

impl Member {
    fn row(&self, sums: &Compared) -> ReportRow {
        let add = |of: &HashMap<String, Load>| {
            let mut sum = Load::default();
            for load in self.halls.iter().filter_map(|hall| of.get(hall)) {
                sum += load;
            }
            sum
        };
        ReportRow {
            id: self.id.clone(),
            name: self.name.clone(),
            kind: self.kind,
            now: Sum::of(&add(&sums.now)),
            before: Sum::unless_idle(Some(&add(&sums.before))),
            year_ago: Sum::unless_idle(Some(&add(&sums.year_ago))),
        }
    }
}

/// The place itself, and the places it is shown by.
fn members(place: &Place, found: &Found, by_hall: bool) -> Option<(Member, Vec<Member>)> {
    let halls = || found.halls.iter().filter(|(_, path)| path.starts_with(place.path()));
    let of_hall = |(hall, _): &(areas::HallRow, String)| Member {
        id: hall.id.clone(),
        name: hall.name.clone(),
        kind: "hall",
        halls: vec![hall.id.clone()],
    };
    if let Some(hall) = found.halls.iter().find(|(_, path)| path == place.path()) {
        return Some((of_hall(hall), Vec::new()));
    }
    let (area, _) = found.areas.iter().find(|(_, path)| path == place.path())?;
    let whole = Member {
        id: area.id.clone(),
        name: area.name.clone(),
        kind: "area",
        halls: halls().map(|(hall, _)| hall.id.clone()).collect(),
    };
    if by_hall {
        return Some((whole, halls().map(of_hall).collect()));
    }
    let mut rows: Vec<Member> = found
        .areas
        .iter()
        .filter(|(below, _)| below.parent.as_deref() == Some(area.id.as_str()))
        .map(|(below, path)| Member {
            id: below.id.clone(),
            name: below.name.clone(),
            kind: "area",
            halls: halls().filter(|(_, of)| of.starts_with(path)).map(|(hall, _)| hall.id.clone()).collect(),
        })
        .collect();
    rows.extend(halls().filter(|(hall, _)| hall.area == area.id).map(of_hall));
    Some((whole, rows))
}

/// Puts a report together, for the route and for sheets.
pub(super) async fn put_together(
    centre: &Centre,
    person: &Person,
    area: String,
    asked: ReportAsked,
) -> Result<Report, Problem> {
    let by_hall = asked.by_hall()?;
    let (now, asker) = (centre.clock.now(), person.clone());
    let (asking, sums) = centre
        .store
        .read(move |sql| {
            let asking = asking(sql, &asker, &area, &asked, now)?;
            let sums = read(sql, &asking)?;
            Ok::<_, Problem>((asking, sums))
        })
        .await?;
    let found = areas::find(centre, person.clone()).await?;
    let (whole, rows) = members(&asking.place, &found, by_hall).ok_or(Denied::Outside)?;
    let parts = sums.parts.iter().map(|(from, load)| ReportPart { from: *from, sum: Sum::of(load) });
    Ok(Report {
        id: whole.id.clone(),
        name: whole.name.clone(),
        period: asking.period.length,
        days: asking.period.into(),
        running: asking.running,
        before: asking.before.into(),
        year_ago: asking.year_ago.into(),
        updated_at: now,
        total: whole.row(&sums),
        rows: rows.iter().map(|row| row.row(&sums)).collect(),
        parts: parts.collect(),
    })
}

/// A report of an area or a hall: a day, week, month, quarter or year, against the one before and a year ago.
#[utoipa::path(get, path = "/areas/{area}/report", tag = "supervision",
    params(("area" = String, Path, description = "id of an area, or of a hall", example = "450100"), ReportAsked),
    responses((status = 200, body = Report), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
async fn report(
    State(centre): State<Centre>,
    person: Person,
    Named(area): Named<String>,
    Asked(asked): Asked<ReportAsked>,
) -> Result<Json<Report>, Problem> {
    put_together(&centre, &person, area, asked).await.map(Json)
}

/// A hall over time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct HallCourse {
    /// Its id.
    #[schema(example = "450103-01")]
    pub id: String,
    /// Its name.
    #[schema(example = "青秀区政务服务中心")]
    pub name: String,
    /// All of the period.
    pub total: Option<f64>,
    /// The figure of each of the parts, in their order; none where it is not known.
    #[schema(example = json!([412.5, null, 388.0]))]
    pub values: Vec<Option<f64>>,
}

/// Halls over time, by one figure.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Comparison {
    /// The figure.
    #[schema(example = "average_wait_s")]
    pub figure: String,
    /// The days of the period.
    pub days: Days,
    /// When this was put together.
    #[schema(value_type = String)]
    pub updated_at: UtcMillis,
    /// The first day of each part: days, of a year months.
    #[schema(value_type = Vec<String>, example = json!(["2026-11-01", "2026-11-02", "2026-11-03"]))]
    pub parts: Vec<Date>,
    /// Every hall, in the tree's order.
    pub halls: Vec<HallCourse>,
    /// All of them together.
    pub all: HallCourse,
}

/// What a comparison is asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ComparisonAsked {
    /// `day week month quarter year`; a month if it is not said.
    #[param(example = "month")]
    period: Option<String>,
    /// A day of the period; today if it is not said.
    #[param(value_type = Option<String>, example = "2026-11-22")]
    date: Option<Date>,
    /// `arrivals served no_show_rate average_wait_s p90_wait_s service_level average_service_s utilisation given
    /// active_rate satisfied bad_rate score`.
    #[param(example = "average_wait_s")]
    figure: Option<String>,
}

/// The figure of this name.
fn figure(name: &str, load: &Load) -> Result<Option<f64>, Problem> {
    Sum::of(load).figure(name)
}

impl Sum {
    /// The figure of this name; a refusal where there is none.
    pub(super) fn figure(&self, name: &str) -> Result<Option<f64>, Problem> {
        let Self { service, ratings } = self;
        let count = |value: i64| Some(value as f64);
        Ok(match name {
            "arrivals" => count(service.arrivals),
            "served" => count(service.served),
            "no_show_rate" => service.no_show_rate,
            "average_wait_s" => service.average_wait_s,
            "p90_wait_s" => service.p90_wait_s,
            "service_level" => service.service_level,
            "average_service_s" => service.average_service_s,
            "utilisation" => service.utilisation,
            "given" => count(ratings.given),
            "active_rate" => ratings.active_rate,
            "satisfied" => ratings.satisfied,
            "bad_rate" => ratings.bad_rate,
            "score" => ratings.score,
            _ => {
                return Err(Problem::unprocessable(
                    "figure: none of this name, see the description of the API",
                ));
            }
        })
    }
}

/// The halls of an area beside each other over a period, by one figure.
#[utoipa::path(get, path = "/areas/{area}/comparison", tag = "supervision",
    params(("area" = String, Path, description = "id of an area, or of a hall", example = "450100"), ComparisonAsked),
    responses((status = 200, body = Comparison), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
async fn comparison(
    State(centre): State<Centre>,
    person: Person,
    Named(area): Named<String>,
    Asked(asked): Asked<ComparisonAsked>,
) -> Result<Json<Comparison>, Problem> {
    compare(&centre, &person, area, asked).await.map(Json)
}

/// Puts a comparison together, for the route and for sheets.
pub(super) async fn compare(
    centre: &Centre,
    person: &Person,
    area: String,
    asked: ComparisonAsked,
) -> Result<Comparison, Problem> {
    let name = asked.figure.clone().unwrap_or_else(|| "average_wait_s".into());
    figure(&name, &Load::default())?;
    let (now, asker) = (centre.clock.now(), person.clone());
    let report = ReportAsked { period: asked.period, date: asked.date, by: None };
    let (asking, by_hall) = centre
        .store
        .read(move |sql| {
            let asking = asking(sql, &asker, &area, &report, now)?;
            let (scope, Period { from, to, .. }) = (Scope::at(&asking.place), asking.period);
            let rows = if asking.period.by_month() {
                statistics::hall_months(sql, &scope, "/", from, to)?
            } else {
                statistics::hall_days(sql, &scope, "/", from, to)?
            };
            Ok::<_, Problem>((asking, rows))
        })
        .await?;
    let found = areas::find(centre, person.clone()).await?;
    let (whole, halls) = members(&asking.place, &found, true).ok_or(Denied::Outside)?;
    let mut parts: Vec<Date> = by_hall.iter().map(|row| row.day).collect();
    parts.sort();
    parts.dedup();
    let course = |member: &Member| -> Result<HallCourse, Problem> {
        let (mut total, mut each) = (Load::default(), HashMap::<Date, Load>::new());
        for row in by_hall.iter().filter(|row| member.halls.contains(&row.hall)) {
            total += &row.load;
            *each.entry(row.day).or_default() += &row.load;
        }
        let value = |day: &Date| each.get(day).map_or(Ok(None), |load| figure(&name, load));
        Ok(HallCourse {
            id: member.id.clone(),
            name: member.name.clone(),
            total: figure(&name, &total)?,
            values: parts.iter().map(value).collect::<Result<_, _>>()?,
        })
    };
    let halls = if halls.is_empty() { std::slice::from_ref(&whole) } else { &halls };
    let halls = halls.iter().map(course).collect::<Result<_, _>>()?;
    let all = course(&whole)?;
    Ok(Comparison { figure: name, days: asking.period.into(), updated_at: now, parts, halls, all })
}
