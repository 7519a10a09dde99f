//! `/halls/{hall}/queue/quarters`: a day by quarter of an hour against the same weekday before, from the roll-ups.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis};
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::thresholds;
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, may},
    site::{
        extract::{Asked, Named},
        problem::Problem,
    },
    statistics::{self, Figures, Load, Loads},
    store::{Sql, StoreError},
};

/// How many weeks back the same weekday is looked for.
const WEEKS: i64 = 4;

/// What quarters are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct QuartersAsked {
    /// The local day, 2026-11-22; today if left out.
    date: Option<String>,
    /// Of this business alone; hours of windows belong to none and are then left out.
    business: Option<String>,
}

/// A day by quarter of an hour.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Quarters {
    hall: String,
    /// The local day.
    date: String,
    /// The same weekday before on which anything happened, at most four weeks back; none: there is none.
    against: Option<String>,
    /// The hall's time zone.
    zone: String,
    /// When this was put together.
    #[schema(value_type = String)]
    at: UtcMillis,
    /// The number of minutes within which `service_level` counts.
    service_level_minutes: u32,
    /// Every quarter from the first to the last with anything in it on either day.
    items: Vec<QuarterRow>,
    /// The whole day.
    total: Compared,
    /// The whole day by business.
    businesses: Vec<BusinessDay>,
    /// The day by window.
    windows: Vec<WindowDay>,
    /// Always none: the list is whole.
    next: Option<String>,
}

/// A quarter of an hour on both days.
#[derive(Debug, Serialize, ToSchema)]
struct QuarterRow {
    /// 0 (00:00) to 95 (23:45).
    quarter: u8,
    /// Local time of its beginning, 09:15.
    from: String,
    #[serde(flatten)]
    compared: Compared,
}

/// Figures of the day, and of the day it is held against.
#[derive(Debug, Serialize, ToSchema)]
struct Compared {
    now: Figures,
    before: Option<Figures>,
}

/// A business on both days.
#[derive(Debug, Serialize, ToSchema)]
struct BusinessDay {
    business: String,
    #[serde(flatten)]
    compared: Compared,
}

/// A window on the day.
#[derive(Debug, Serialize, ToSchema)]
struct WindowDay {
    window: String,
    figures: Figures,
}

/// A day of a hall's queue by quarter of an hour, against the same weekday.
#[utoipa::path(get, path = "/halls/{hall}/queue/quarters", tag = "queue",
    params(("hall" = String, Path, description = "hall id"), QuartersAsked),
    responses((status = 200, body = Quarters), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
    Asked(asked): Asked<QuartersAsked>,
) -> Result<Json<Quarters>, Problem> {
    let date = asked.date.as_deref().map(str::parse::<Date>).transpose().map_err(|_| {
        Problem::bad_request("`date` is not a day: write it as 2026-11-22, or leave it out for today")
    })?;
    let now = centre.clock.now();
    let answer = centre
        .store
        .read(move |sql| {
            let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::SeeService, &place)?;
            Ok::<_, Problem>(put_together(sql, &hall, date, asked.business.as_deref(), now)?)
        })
        .await?;
    Ok(Json(answer))
}

fn put_together(
    sql: &mut dyn Sql,
    hall: &HallId,
    date: Option<Date>,
    business: Option<&str>,
    now: UtcMillis,
) -> Result<Quarters, StoreError> {
    let zone = statistics::zone(sql, hall)?;
    let today = zone.to_datetime(now.timestamp()).date();
    let date = date.unwrap_or(today);
    let minutes = thresholds::of_hall(sql, hall)?.service_level_minutes;
    let of_business = |mut loads: Loads| {
        loads.0.retain(|cell, _| business.is_none_or(|business| cell.business == business));
        loads
    };
    // Windows that are still open count until now.
    let until = (date == today).then_some(now);
    let loads = of_business(statistics::cells_of_day(sql, hall, date, until)?);
    let mut before = None;
    for week in 1..=WEEKS {
        let Ok(day) = date.checked_sub((7 * week).days()) else { break };
        let of_day = statistics::cells_of_day(sql, hall, day, None)?;
        if !of_day.0.is_empty() {
            before = Some((day, of_business(of_day)));
            break;
        }
    }
    let earlier = before.as_ref().map(|(_, loads)| loads);
    let figures = |load: Option<&Load>| load.copied().unwrap_or_default().figures(i64::from(minutes));
    let compared = |now: Option<&Load>, before: Option<&Load>| Compared {
        now: figures(now),
        before: earlier.map(|_| figures(before)),
    };
    let by = |loads: &Loads| added(loads, |cell| cell.quarter.number);
    let (now_by, before_by) = (by(&loads), earlier.map(by).unwrap_or_default());
    let used = || now_by.keys().chain(before_by.keys()).copied();
    let span = used().min().zip(used().max());
    let items = span.map_or(0..0, |(first, last)| first..last + 1).map(|quarter| QuarterRow {
        quarter,
        from: format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15),
        compared: compared(now_by.get(&quarter), before_by.get(&quarter)),
    });
    let items = items.collect();
    let whole = |loads: &Loads| added(loads, |_| ()).remove(&());
    let total = compared(whole(&loads).as_ref(), earlier.and_then(whole).as_ref());
    let by = |loads: &Loads| added(loads, |cell| cell.business.clone());
    let (now_by, before_by) = (by(&loads), earlier.map(by).unwrap_or_default());
    let mut names: Vec<&String> =
        now_by.keys().chain(before_by.keys()).filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    let businesses = names
        .into_iter()
        .map(|name| BusinessDay {
            business: name.clone(),
            compared: compared(now_by.get(name), before_by.get(name)),
        })
        .collect();
    let windows = added(&loads, |cell| cell.window.clone())
        .into_iter()
        .filter(|(window, _)| !window.is_empty())
        .map(|(window, load)| WindowDay { window, figures: figures(Some(&load)) })
        .collect();
    Ok(Quarters {
        hall: hall.to_string(),
        date: date.to_string(),
        against: before.map(|(day, _)| day.to_string()),
        zone: zone.iana_name().unwrap_or_default().to_owned(),
        at: now,
        service_level_minutes: minutes,
        items,
        total,
        businesses,
        windows,
        next: None,
    })
}

/// The sums of cells that have the same key.
fn added<K: Ord>(loads: &Loads, key: impl Fn(&statistics::Cell) -> K) -> BTreeMap<K, Load> {
    let mut sums = BTreeMap::new();
    for (cell, load) in &loads.0 {
        *sums.entry(key(cell)).or_insert_with(Load::default) += load;
    }
    sums
}
