//! `/halls/{hall}/queue`: the first question of a hall manager, is the queue in hand? Who waits for what and how long, which
//! windows are open, which pause and why, which devices are not well, and what of it is beyond the hall's thresholds.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis};
use jiff::ToSpan;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    WindowRow, WindowState,
    forecast::erlang,
    rows,
    thresholds::{self, Thresholds},
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, may},
    areas::{PositionRow, positions_of_hall},
    params,
    site::{extract::Named, problem::Problem},
    statistics::{self, Figures, Load, Loads, Quarter},
    store::{Sql, StoreError},
};

/// Calls this long ago are looked at for bursts.
const BURSTS_MS: i64 = 15 * 60_000;
const MINUTE: i64 = 60_000;

/// The queue of a hall as it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QueueNow {
    /// The hall.
    hall: String,
    /// When this was put together.
    #[schema(value_type = String)]
    at: UtcMillis,
    /// When the last event of the queue or a window happened; none: nothing has been heard yet.
    #[schema(value_type = Option<String>)]
    updated_at: Option<UtcMillis>,
    /// Whether the hall's edge is connected: if not, everything here is as old as `updated_at`.
    connected: bool,
    /// `in_hand`, or `attention` where an alarm stands, or `closed` with no window open and nobody waiting.
    state: &'static str,
    /// 等候人数: tickets waiting.
    waiting: usize,
    /// 最长等候: seconds the one who waits longest has waited; none if nobody waits.
    longest_wait_s: Option<i64>,
    /// Mean of the seconds waited so far.
    average_wait_s: Option<i64>,
    /// By business, those with the longest wait first.
    businesses: Vec<BusinessNow>,
    /// Windows open, pauses included.
    windows_open: u32,
    /// Of them those that pause.
    windows_paused: u32,
    /// Windows of the hall.
    windows_total: u32,
    /// 应开窗数: how many should be open; none: unknown.
    windows_due: Option<u32>,
    /// Where that number comes from: `plan` (the hall's thresholds) or `need` (Erlang-C over the tickets of the last hour).
    windows_due_by: Option<&'static str>,
    /// Every window.
    windows: Vec<WindowRow>,
    /// Windows that pause.
    pauses: Vec<Pause>,
    /// Devices of the hall.
    devices: Devices,
    /// Today so far.
    today: Figures,
    /// What is beyond a threshold, the worst first.
    alarms: Vec<QueueAlarm>,
    /// The hall's thresholds.
    thresholds: Thresholds,
}

/// A business's queue.
#[derive(Debug, Serialize, ToSchema)]
struct BusinessNow {
    business: String,
    waiting: usize,
    longest_wait_s: Option<i64>,
    average_wait_s: Option<i64>,
    /// Windows that take it, are open and do not pause.
    windows_open: u32,
}

/// A window that pauses.
#[derive(Debug, Serialize, ToSchema)]
struct Pause {
    window: String,
    number: u32,
    name: String,
    #[schema(value_type = Option<String>)]
    since: Option<UtcMillis>,
    seconds: Option<i64>,
    /// As the clerk gave it.
    reason: Option<String>,
}

/// The devices of a hall.
#[derive(Debug, Serialize, ToSchema)]
struct Devices {
    total: usize,
    well: usize,
    /// Those that are not well.
    faults: Vec<PositionRow>,
}

/// Something beyond a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct QueueAlarm {
    /// `waiting_many longest_wait windows_short forecast_long long_pause device_silent call_burst`.
    pub(super) kind: &'static str,
    /// The business it is about.
    pub(super) business: Option<String>,
    /// The window it is about.
    pub(super) window: Option<String>,
    /// The device it is about.
    pub(super) device: Option<String>,
    /// What was found: people, windows, minutes or, for a burst of calls, seconds.
    pub(super) value: i64,
    /// The threshold.
    pub(super) threshold: i64,
}

impl QueueAlarm {
    pub(super) fn of(kind: &'static str, value: i64, threshold: i64) -> Self {
        Self { kind, business: None, window: None, device: None, value, threshold }
    }
}

/// Somebody who waits.
pub(super) struct InQueue {
    pub(super) business: String,
    pub(super) priority: u8,
    pub(super) window: Option<String>,
    pub(super) since: UtcMillis,
}

/// Who waits in a hall.
pub(super) fn waiting(sql: &mut dyn Sql, hall: &HallId) -> Result<Vec<InQueue>, StoreError> {
    let rows = sql.query(
        "SELECT COALESCE(business, ''), priority, win, COALESCE(issued_at, at) FROM tickets \
         WHERE hall = $1 AND state = 'waiting'",
        params![hall],
    )?;
    rows.iter()
        .map(|row| {
            Ok(InQueue {
                business: row.get(0)?,
                priority: row.get(1)?,
                window: row.get(2)?,
                since: row.get(3)?,
            })
        })
        .collect()
}

/// Which businesses each window of a hall takes; one that is missing takes all.
pub(super) fn takes(sql: &mut dyn Sql, hall: &HallId) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let rows = sql.query(
        "SELECT b.win, b.business FROM window_businesses b JOIN windows w ON w.id = b.win WHERE w.hall = $1",
        params![hall],
    )?;
    let mut takes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        takes.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(takes)
}

/// Whether a window is open and does not pause.
pub(super) fn works(window: &WindowRow) -> bool {
    !matches!(window.state, WindowState::Closed | WindowState::Paused)
}

/// Seconds waited, of some people: the longest and the mean.
fn waits(since: &[UtcMillis], now: UtcMillis) -> (Option<i64>, Option<i64>) {
    let seconds = |since: &UtcMillis| (now.0 - since.0).max(0) / 1000;
    let longest = since.iter().map(seconds).max();
    let count = since.len() as i64;
    (longest, (count > 0).then(|| since.iter().map(seconds).sum::<i64>() / count))
}

/// The queue of a hall now: waiting by business, windows open and due, pauses, devices, today's figures, alarms.
#[utoipa::path(get, path = "/halls/{hall}/queue", tag = "queue",
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 200, body = QueueNow), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
) -> Result<Json<QueueNow>, Problem> {
    let now = centre.clock.now();
    let connected = centre.nodes.registry().of_hall(&hall).is_some();
    let mut answer = centre
        .store
        .read(move |sql| {
            let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::SeeService, &place)?;
            Ok::<_, Problem>(put_together(sql, &hall, now, connected)?)
        })
        .await?;
    rows::refresh(&mut answer.windows, &centre.nodes);
    Ok(Json(answer))
}

fn put_together(
    sql: &mut dyn Sql,
    hall: &HallId,
    now: UtcMillis,
    connected: bool,
) -> Result<QueueNow, StoreError> {
    let thresholds = thresholds::of_hall(sql, hall)?;
    let windows = rows::hall_window_rows(sql, hall)?;
    let takes = takes(sql, hall)?;
    let queue = waiting(sql, hall)?;
    let zone = statistics::zone(sql, hall)?;
    let day = zone.to_datetime(now.timestamp()).date();
    let mut load = Load::default();
    let loads = statistics::cells_of_day(sql, hall, day, Some(now))?;
    loads.0.values().for_each(|cell| load += cell);
    let businesses = by_business(&queue, &windows, &takes, now);
    let pauses: Vec<Pause> = windows
        .iter()
        .filter(|window| window.state == WindowState::Paused)
        .map(|window| Pause {
            window: window.id.to_string(),
            number: window.number,
            name: window.name.clone(),
            since: window.since,
            seconds: window.since.map(|since| (now.0 - since.0).max(0) / 1000),
            reason: window.pause_reason.clone(),
        })
        .collect();
    let positions = positions_of_hall(sql, hall)?;
    let total = positions.len();
    let faults: Vec<PositionRow> = positions.into_iter().filter(|position| position.health != "up").collect();
    let count = |is: fn(&WindowRow) -> bool| windows.iter().filter(|window| is(window)).count() as u32;
    let windows_open = count(|window| window.state != WindowState::Closed);
    let (windows_due, windows_due_by) = match thresholds.windows_planned {
        Some(planned) => (Some(planned), Some("plan")),
        None => {
            let need = needed(sql, hall, &loads, Quarter::of(now, &zone), &thresholds)?;
            (need, need.map(|_| "need"))
        }
    };
    let since: Vec<UtcMillis> = queue.iter().map(|ticket| ticket.since).collect();
    let (longest_wait_s, average_wait_s) = waits(&since, now);
    let updated_at = sql
        .query_one(
            "SELECT MAX(at) FROM (SELECT MAX(at) AS at FROM window_states WHERE hall = $1 \
             UNION ALL SELECT MAX(at) FROM tickets WHERE hall = $1 AND issued_at >= $2) x",
            params![hall, now.plus(-24 * 60 * MINUTE)],
        )?
        .map_or(Ok(None), |row| row.get(0))?;
    let mut answer = QueueNow {
        hall: hall.to_string(),
        at: now,
        updated_at,
        connected,
        state: "closed",
        waiting: queue.len(),
        longest_wait_s,
        average_wait_s,
        businesses,
        windows_open,
        windows_paused: pauses.len() as u32,
        windows_total: windows.len() as u32,
        windows_due,
        windows_due_by,
        windows,
        pauses,
        devices: Devices { total, well: total - faults.len(), faults },
        today: load.figures(i64::from(thresholds.service_level_minutes)),
        alarms: Vec::new(),
        thresholds,
    };
    let bursts = bursts(sql, hall, now, answer.thresholds.call_burst_seconds)?;
    answer.alarms = alarms(&answer, bursts);
    answer.state = match (answer.alarms.is_empty(), windows_open, answer.waiting) {
        (false, ..) => "attention",
        (true, 0, 0) => "closed",
        (true, ..) => "in_hand",
    };
    Ok(answer)
}

/// How many windows the tickets of the last hour need, by what a case took in the last two weeks, so that the hall's
/// target is met. None while nothing is known of service times.
fn needed(
    sql: &mut dyn Sql,
    hall: &HallId,
    today: &Loads,
    now: Quarter,
    thresholds: &Thresholds,
) -> Result<Option<u32>, StoreError> {
    let from = now.day.checked_sub(14.days()).unwrap_or(now.day);
    let past = statistics::hall_total(sql, hall, from, now.day)?;
    if past.services == 0 {
        return Ok(None);
    }
    let service_s = past.service_ms as f64 / past.services as f64 / 1000.0;
    let reach_s = if past.reaches > 0 { past.reach_ms as f64 / past.reaches as f64 / 1000.0 } else { 0.0 };
    // The current quarter has only begun; the four before it are whole.
    let hour = now.number.saturating_sub(4)..now.number;
    let arrivals: i64 = today
        .0
        .iter()
        .filter(|(cell, _)| hour.contains(&cell.quarter.number))
        .map(|(_, load)| load.arrivals)
        .sum();
    let erlangs = arrivals as f64 / 3600.0 * (service_s + reach_s);
    let share = f64::from(thresholds.service_level_percent) / 100.0;
    let seconds = f64::from(thresholds.service_level_minutes) * 60.0;
    Ok(erlang::windows_needed(erlangs, service_s + reach_s, share, seconds))
}

fn by_business(
    queue: &[InQueue],
    windows: &[WindowRow],
    takes: &BTreeMap<String, Vec<String>>,
    now: UtcMillis,
) -> Vec<BusinessNow> {
    let mut since: BTreeMap<&str, Vec<UtcMillis>> = BTreeMap::new();
    for business in takes.values().flatten() {
        since.entry(business).or_default();
    }
    for ticket in queue {
        since.entry(&ticket.business).or_default().push(ticket.since);
    }
    let open = |business: &str| {
        let takes = |window: &&WindowRow| {
            let of_window = takes.get(window.id.as_str());
            works(window) && of_window.is_none_or(|of| of.iter().any(|one| one == business))
        };
        windows.iter().filter(takes).count() as u32
    };
    let mut businesses: Vec<BusinessNow> = since
        .into_iter()
        .map(|(business, since)| {
            let (longest_wait_s, average_wait_s) = waits(&since, now);
            BusinessNow {
                business: business.to_owned(),
                waiting: since.len(),
                longest_wait_s,
                average_wait_s,
                windows_open: open(business),
            }
        })
        .collect();
    businesses.sort_by(|a, b| b.longest_wait_s.cmp(&a.longest_wait_s).then(a.business.cmp(&b.business)));
    businesses
}

/// Windows at which two calls followed one another too closely, and how closely (seconds): a ticket called so was hardly
/// given the time to come.
fn bursts(
    sql: &mut dyn Sql,
    hall: &HallId,
    now: UtcMillis,
    seconds: u32,
) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sql.query(
        "SELECT win, called_at FROM tickets WHERE hall = $1 AND issued_at >= $2 AND called_at >= $3 \
         AND win IS NOT NULL ORDER BY win, called_at",
        params![hall, now.plus(-24 * 60 * MINUTE), now.plus(-BURSTS_MS)],
    )?;
    let mut found: Vec<(String, i64)> = Vec::new();
    let mut before: Option<(String, i64)> = None;
    for row in &rows {
        let (window, at): (String, i64) = (row.get(0)?, row.get(1)?);
        if let Some((same, earlier)) = &before
            && *same == window
            && at - earlier < i64::from(seconds) * 1000
        {
            let apart = (at - earlier) / 1000;
            match found.last_mut() {
                Some((known, least)) if *known == window => *least = (*least).min(apart),
                _ => found.push((window.clone(), apart)),
            }
        }
        before = Some((window, at));
    }
    Ok(found)
}

/// What is beyond the thresholds, the worst first.
fn alarms(now: &QueueNow, bursts: Vec<(String, i64)>) -> Vec<QueueAlarm> {
    let limits = &now.thresholds;
    let mut alarms = Vec::new();
    for business in &now.businesses {
        let longest = business.longest_wait_s.unwrap_or(0) / 60;
        if longest >= i64::from(limits.longest_wait_minutes) {
            let alarm = QueueAlarm::of("longest_wait", longest, limits.longest_wait_minutes.into());
            alarms.push(QueueAlarm { business: Some(business.business.clone()), ..alarm });
        }
    }
    for business in &now.businesses {
        let per_window = business.waiting as i64 / i64::from(business.windows_open.max(1));
        if per_window >= i64::from(limits.waiting_per_window) {
            let alarm = QueueAlarm::of("waiting_many", per_window, limits.waiting_per_window.into());
            alarms.push(QueueAlarm { business: Some(business.business.clone()), ..alarm });
        }
    }
    if let Some(due) = now.windows_due
        && now.windows_open > 0
        && now.windows_open - now.windows_paused < due
    {
        let working = now.windows_open - now.windows_paused;
        alarms.push(QueueAlarm::of("windows_short", working.into(), due.into()));
    }
    for pause in &now.pauses {
        let minutes = pause.seconds.unwrap_or(0) / 60;
        if minutes >= i64::from(limits.pause_minutes) {
            let alarm = QueueAlarm::of("long_pause", minutes, limits.pause_minutes.into());
            alarms.push(QueueAlarm { window: Some(pause.window.clone()), ..alarm });
        }
    }
    // Out of hours nothing is to be heard.
    let counts = |device: &&PositionRow| {
        matches!(device.health.as_str(), "silent" | "down") && device.role != "attendance"
    };
    for device in now.devices.faults.iter().filter(counts).filter(|_| now.windows_open > 0) {
        let minutes = (now.at.0 - device.since.0) / MINUTE;
        if minutes >= i64::from(limits.device_silent_minutes) {
            let alarm = QueueAlarm::of("device_silent", minutes, limits.device_silent_minutes.into());
            alarms.push(QueueAlarm {
                device: Some(device.id.clone()),
                window: device.window.clone(),
                ..alarm
            });
        }
    }
    for (window, seconds) in bursts {
        let alarm = QueueAlarm::of("call_burst", seconds, limits.call_burst_seconds.into());
        alarms.push(QueueAlarm { window: Some(window), ..alarm });
    }
    alarms
}
