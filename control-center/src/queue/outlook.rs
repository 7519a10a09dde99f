//! `/halls/{hall}/forecast`: the wait of a ticket taken now and in the next hour, with its range, what one more window would
//! change, how many windows are needed; and how far yesterday's forecasts were from what came ([`scored`](super::scored)). Puts
//! what the store knows before the pure [`forecast`](super::forecast).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Json, extract::State};
use control_protocol::{HallId, UtcMillis};
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    forecast::{self, Answer, Desk, History, Past, Question, Score, Situation, Waiting, erlang},
    now::{self, InQueue, QueueAlarm},
    rows,
    scored::last_score,
    thresholds::{self, Thresholds},
};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, may},
    params,
    site::{
        extract::{Asked, Named},
        problem::Problem,
    },
    statistics::{self, Quarter},
    store::{Row, Sql, StoreError},
};

/// Runs of the queue for an answer that is shown.
const RUNS: usize = 240;
/// Weeks of the past that are looked at.
const WEEKS: i64 = 8;
/// Seconds between the end of a service and the next call, where a hall has not shown its own.
const TURNAROUND_S: f64 = 15.0;
/// A longer gap between two services is no turnaround.
const LONGEST_TURNAROUND_MS: i64 = 5 * 60_000;
const QUARTER_S: f64 = 900.0;
/// Quarters ahead: the next hour, and what comes while its last ticket waits.
const AHEAD: u8 = 8;

/// What is known of the past of each hall, as of a quarter of an hour.
#[derive(Default)]
pub struct Outlooks(Mutex<HashMap<HallId, (Quarter, Arc<Known>)>>);

/// What a forecast rests on besides the queue itself.
pub(super) struct Known {
    pub(super) history: History,
    pub(super) turnaround_s: f64,
    pub(super) takes: BTreeMap<String, Vec<String>>,
}

impl Outlooks {
    fn get(&self, hall: &HallId, quarter: Quarter) -> Option<Arc<Known>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(hall).filter(|(of, _)| *of == quarter).map(|(_, known)| known.clone())
    }

    fn put(&self, hall: HallId, quarter: Quarter, known: Arc<Known>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(hall, (quarter, known));
    }
}

/// What is asked of a forecast.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ForecastAsked {
    /// How it would be with so many windows more, each taking every business: 1 to 20.
    extra_windows: Option<u32>,
}

/// A forecast of a hall's waits. Minutes; null: unknown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Forecast {
    /// How far the forecasts of the last scored day were from what came: the mean of |P50 − wait|, minutes.
    mae_minutes: Option<f64>,
    /// The share of that day's tickets that did not wait longer than their P90, 0 to 1; 0.9 is right.
    p90_coverage: Option<f64>,
    /// That day, yesterday as a rule.
    scored_date: Option<String>,
    /// Its tickets.
    scored_tickets: Option<u32>,
    hall: String,
    #[schema(value_type = String)]
    at: UtcMillis,
    /// `queue_length`; `delays` where too little is known of service times; null where nothing can be said.
    method: Option<&'static str>,
    /// Windows open and not paused, on which this counts.
    windows_working: u32,
    /// By Erlang-C, the windows that the next quarter of an hour needs so that the hall's target is met.
    windows_needed: Option<u32>,
    /// A ticket taken now, and every quarter of an hour of the next hour.
    next_hour: Vec<Ahead>,
    /// A ticket taken now, by business.
    businesses: Vec<BusinessAhead>,
    /// The same with more windows, if asked for.
    what_if: Option<WhatIf>,
    /// What of it is beyond the hall's thresholds.
    alarms: Vec<QueueAlarm>,
}

/// What a ticket taken at a moment will wait.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Ahead {
    /// When it is taken.
    #[schema(value_type = String)]
    at: UtcMillis,
    /// Half wait no longer, minutes.
    p50_minutes: Option<f64>,
    /// Nine in ten wait no longer, minutes.
    p90_minutes: Option<f64>,
    /// Tickets to be expected in the quarter of an hour from then on.
    arrivals: f64,
    /// By Erlang-C, the windows that those need.
    windows_needed: Option<u32>,
}

/// What a ticket of a business taken now will wait.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct BusinessAhead {
    business: String,
    waiting: usize,
    p50_minutes: Option<f64>,
    p90_minutes: Option<f64>,
    /// What one case takes a window, minutes, as this counts it.
    occupation_minutes: Option<f64>,
}

/// The forecast with more windows.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct WhatIf {
    extra_windows: u32,
    next_hour: Vec<Ahead>,
    businesses: Vec<BusinessAhead>,
}

/// Forecast of the waits of a hall: now, the next hour, windows needed, and what more windows would change.
#[utoipa::path(get, path = "/halls/{hall}/forecast", tag = "queue",
    params(("hall" = String, Path, description = "hall id"), ForecastAsked),
    responses((status = 200, body = Forecast), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn show(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
    Asked(asked): Asked<ForecastAsked>,
) -> Result<Json<Forecast>, Problem> {
    if asked.extra_windows.is_some_and(|extra| !(1..=20).contains(&extra)) {
        return Err(Problem::unprocessable("`extra_windows` is 1 to 20, or left out"));
    }
    let now = centre.clock.now();
    let state = centre.clone();
    let gathered = centre
        .store
        .read(move |sql| {
            let place = Place::of_hall(sql, &hall)?.ok_or(Denied::Outside)?;
            may(&person, Action::SeeService, &place)?;
            Ok::<_, Problem>(Gathered::of(sql, &state.outlooks, hall, now)?)
        })
        .await?;
    // A few milliseconds of pure computing, which no other request should wait for.
    let forecast = tokio::task::spawn_blocking(move || gathered.forecast(asked.extra_windows))
        .await
        .map_err(|_| StoreError::Closed)?;
    Ok(Json(forecast))
}

/// What the store knows for one forecast.
struct Gathered {
    hall: HallId,
    now: UtcMillis,
    quarter: Quarter,
    known: Arc<Known>,
    thresholds: Thresholds,
    queue: Vec<InQueue>,
    /// Windows that work: id, and the business and beginning of what they are busy with.
    working: Vec<(String, Option<(String, UtcMillis)>)>,
    last_called_s: Option<f64>,
    score: Option<(Date, Score)>,
}

impl Gathered {
    fn of(sql: &mut dyn Sql, outlooks: &Outlooks, hall: HallId, now: UtcMillis) -> Result<Self, StoreError> {
        let zone = statistics::zone(sql, &hall)?;
        let quarter = Quarter::of(now, &zone);
        let known = match outlooks.get(&hall, quarter) {
            Some(known) => known,
            None => {
                let known = Arc::new(known(sql, &hall, quarter, now)?);
                outlooks.put(hall.clone(), quarter, known.clone());
                known
            }
        };
        let busy = sql.query(
            "SELECT s.win, COALESCE(t.business, ''), COALESCE(t.called_at, s.since) FROM window_states s \
             JOIN tickets t ON t.case_id = s.case_id WHERE s.hall = $1",
            params![hall],
        )?;
        let read = |row: &Row| Ok((row.get::<String>(0)?, (row.get(1)?, row.get(2)?)));
        let mut busy: HashMap<String, (String, UtcMillis)> =
            busy.iter().map(read).collect::<Result<_, StoreError>>()?;
        let windows = rows::hall_window_rows(sql, &hall)?;
        let working = windows
            .iter()
            .filter(|window| now::works(window))
            .map(|window| (window.id.to_string(), busy.remove(window.id.as_str())))
            .collect();
        Ok(Self {
            thresholds: thresholds::of_hall(sql, &hall)?,
            queue: now::waiting(sql, &hall)?,
            last_called_s: last_called(sql, &hall, now)?,
            score: last_score(sql, &hall, quarter.day)?,
            working,
            hall,
            now,
            quarter,
            known,
        })
    }

    /// Every business that anybody may take a ticket for.
    fn businesses(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.known.history.businesses().into_iter().collect();
        names.extend(self.queue.iter().map(|ticket| ticket.business.clone()));
        names.extend(self.known.takes.values().flatten().cloned());
        names.into_iter().filter(|name| !name.is_empty()).collect()
    }

    fn forecast(&self, extra_windows: Option<u32>) -> Forecast {
        let businesses = self.businesses();
        let thin = self.known.history.is_thin();
        let arrivals = |ahead: u8| -> f64 {
            let quarter = self.quarter.number.saturating_add(ahead);
            businesses.iter().map(|business| self.known.history.arrivals(business, quarter)).sum()
        };
        let (next_hour, by_business) = self.ahead(&businesses, 0);
        let first_waiting =
            self.queue.iter().map(|ticket| (self.now.0 - ticket.since.0) as f64 / 1000.0).reduce(f64::max);
        let by_delays = forecast::from_delays(self.last_called_s, first_waiting);
        let mut forecast = Forecast {
            mae_minutes: self.score.and_then(|(_, score)| score.mae_minutes()),
            p90_coverage: self.score.and_then(|(_, score)| score.p90_coverage()),
            scored_date: self.score.map(|(day, _)| day.to_string()),
            scored_tickets: self.score.map(|(_, score)| score.tickets),
            hall: self.hall.to_string(),
            at: self.now,
            method: if thin { by_delays.map(|_| "delays") } else { Some("queue_length") },
            windows_working: self.working.len() as u32,
            windows_needed: self.needed(&businesses, 0),
            next_hour,
            businesses: by_business,
            what_if: None,
            alarms: Vec::new(),
        };
        if thin {
            // Only of a ticket taken now can anything be said.
            let (p50, p90) = minutes(by_delays);
            forecast.next_hour.truncate(1);
            for ahead in &mut forecast.next_hour {
                (ahead.p50_minutes, ahead.p90_minutes) = (p50, p90);
            }
        } else if let Some(extra_windows) = extra_windows {
            let (next_hour, businesses) = self.ahead(&businesses, extra_windows);
            forecast.what_if = Some(WhatIf { extra_windows, next_hour, businesses });
        }
        let limit = f64::from(self.thresholds.forecast_p90_minutes);
        let soon = forecast.next_hour.iter().take(3).filter_map(|ahead| ahead.p90_minutes);
        if let Some(worst) = soon.reduce(f64::max).filter(|worst| *worst > limit) {
            let threshold = i64::from(self.thresholds.forecast_p90_minutes);
            forecast.alarms.push(QueueAlarm::of("forecast_long", worst.round() as i64, threshold));
        }
        for ahead in 0..forecast.next_hour.len() {
            forecast.next_hour[ahead].arrivals = (arrivals(ahead as u8) * 10.0).round() / 10.0;
        }
        forecast
    }

    fn situation(&self, businesses: &[String], extra: u32) -> Situation {
        let number = |name: &str| businesses.iter().position(|business| business == name).unwrap_or(0);
        let seconds = |since: UtcMillis| (self.now.0 - since.0).max(0) as f64 / 1000.0;
        let desks = self.working.iter().map(|(window, busy)| {
            let takes = self.known.takes.get(window);
            Desk {
                takes: takes.map(|takes| takes.iter().map(|name| number(name)).collect()).unwrap_or_default(),
                busy: busy.as_ref().map(|(business, since)| (number(business), seconds(*since))),
            }
        });
        let at_desk = |window: &Option<String>| {
            let window = window.as_ref()?;
            self.working.iter().position(|(id, _)| id == window)
        };
        Situation {
            waiting: self
                .queue
                .iter()
                .map(|ticket| Waiting {
                    business: number(&ticket.business),
                    desk: at_desk(&ticket.window),
                    priority: ticket.priority,
                    waited_s: seconds(ticket.since),
                })
                .collect(),
            desks: desks.chain((0..extra).map(|_| Desk::default())).collect(),
            occupation: self.known.occupations(businesses, self.quarter.number),
            arrivals: self.known.arrivals(businesses, self.quarter.number),
        }
    }

    /// The waits of the next hour, and of now by business, with `extra` windows more.
    fn ahead(&self, businesses: &[String], extra: u32) -> (Vec<Ahead>, Vec<BusinessAhead>) {
        let situation = self.situation(businesses, extra);
        let questions: Vec<Question> = (0..=4)
            .flat_map(|quarter| (0..businesses.len()).map(move |business| (quarter, business)))
            .map(|(quarter, business)| Question { business, in_s: f64::from(quarter) * QUARTER_S })
            .collect();
        let waits = if self.known.history.is_thin() {
            vec![Vec::new(); questions.len()]
        } else {
            forecast::waits(&situation, &questions, RUNS, self.now.0.unsigned_abs() / 60_000)
        };
        let next_hour = (0..=4u8).map(|ahead| {
            let quarter = self.quarter.number.saturating_add(ahead);
            let of_quarter = &waits[usize::from(ahead) * businesses.len()..][..businesses.len()];
            let weights: Vec<f64> =
                businesses.iter().map(|name| self.known.history.arrivals(name, quarter)).collect();
            // A quarter in which nobody is expected counts every business alike.
            let none = weights.iter().sum::<f64>() <= 0.0;
            let groups: Vec<(&[f64], f64)> = of_quarter
                .iter()
                .zip(&weights)
                .map(|(waits, weight)| (waits.as_slice(), if none { 1.0 } else { *weight }))
                .collect();
            let (p50_minutes, p90_minutes) = minutes(forecast::answer(&groups));
            Ahead {
                at: self.now.plus(i64::from(ahead) * statistics::QUARTER_MS),
                p50_minutes,
                p90_minutes,
                arrivals: 0.0,
                windows_needed: self.needed(businesses, ahead),
            }
        });
        let by_business = businesses.iter().enumerate().map(|(at, name)| {
            let (p50_minutes, p90_minutes) = minutes(forecast::answer(&[(&waits[at], 1.0)]));
            BusinessAhead {
                business: name.clone(),
                waiting: self.queue.iter().filter(|ticket| ticket.business == *name).count(),
                p50_minutes,
                p90_minutes,
                occupation_minutes: (!self.known.history.is_thin())
                    .then(|| situation.occupation.get(at).map(|(mean, _)| tenth(mean / 60.0)))
                    .flatten(),
            }
        });
        (next_hour.collect(), by_business.collect())
    }

    /// Erlang-C over the tickets of the quarter `ahead`.
    fn needed(&self, businesses: &[String], ahead: u8) -> Option<u32> {
        let quarter = self.quarter.number.saturating_add(ahead);
        let (mut per_s, mut erlangs) = (0.0, 0.0);
        for business in businesses {
            let occupation = self.known.history.occupation(business, quarter, self.known.turnaround_s)?;
            let rate = self.known.history.arrivals(business, quarter) / QUARTER_S;
            per_s += rate;
            erlangs += rate * occupation.mean_s;
        }
        let service_s = if per_s > 0.0 { erlangs / per_s } else { 0.0 };
        let share = f64::from(self.thresholds.service_level_percent) / 100.0;
        let seconds = f64::from(self.thresholds.service_level_minutes) * 60.0;
        erlang::windows_needed(erlangs, service_s, share, seconds)
    }
}

impl Known {
    pub(super) fn occupations(&self, businesses: &[String], quarter: u8) -> Vec<(f64, f64)> {
        let of = |business: &String| self.history.occupation(business, quarter, self.turnaround_s);
        businesses.iter().map(|name| of(name).map_or((600.0, 400.0), |o| (o.mean_s, o.deviation_s))).collect()
    }

    fn arrivals(&self, businesses: &[String], quarter: u8) -> Vec<Vec<f64>> {
        let of = |name: &String| {
            (0..AHEAD).map(|ahead| self.history.arrivals(name, quarter.saturating_add(ahead))).collect()
        };
        businesses.iter().map(of).collect()
    }
}

fn tenth(minutes: f64) -> f64 {
    (minutes * 10.0).round() / 10.0
}

/// Shown to a tenth of a minute.
fn minutes(answer: Option<Answer>) -> (Option<f64>, Option<f64>) {
    let shown = |seconds: f64| tenth(seconds / 60.0);
    (answer.map(|answer| shown(answer.p50_s)), answer.map(|answer| shown(answer.p90_s)))
}

pub(super) fn past(sql: &mut dyn Sql, hall: &HallId, day: Date) -> Result<Vec<Past>, StoreError> {
    let from = day.checked_sub((7 * WEEKS).days()).unwrap_or(day);
    let demand = statistics::demand(sql, hall, from, day)?;
    Ok(demand
        .into_iter()
        .map(|(quarter, business, load)| Past { day: quarter.day, quarter: quarter.number, business, load })
        .collect())
}

fn known(sql: &mut dyn Sql, hall: &HallId, quarter: Quarter, now: UtcMillis) -> Result<Known, StoreError> {
    let past = past(sql, hall, quarter.day)?;
    Ok(Known {
        history: History::of(&past, quarter.day, quarter.number),
        turnaround_s: turnaround(sql, hall, now)?,
        takes: now::takes(sql, hall)?,
    })
}

/// The middle of the last three days' times between the end of a service and the next call of the window, where the next
/// ticket waited already.
pub(super) fn turnaround(sql: &mut dyn Sql, hall: &HallId, now: UtcMillis) -> Result<f64, StoreError> {
    let rows = sql.query(
        "SELECT win, issued_at, called_at, ended_at FROM tickets WHERE hall = $1 AND issued_at >= $2 AND issued_at < $3 \
         AND called_at IS NOT NULL AND win IS NOT NULL ORDER BY win, called_at LIMIT 20000",
        params![hall, now.plus(-3 * 24 * 3_600_000), now],
    )?;
    let mut gaps = Vec::new();
    let mut before: Option<(String, i64)> = None;
    for row in &rows {
        let (window, issued, called): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if let Some((same, ended)) = &before
            && *same == window
            && issued <= *ended
            && (0..=LONGEST_TURNAROUND_MS).contains(&(called - ended))
        {
            gaps.push(called - ended);
        }
        before = row.get::<Option<i64>>(3)?.map(|ended| (window, ended));
    }
    gaps.sort_unstable();
    Ok(gaps.get(gaps.len() / 2).map_or(TURNAROUND_S, |gap| *gap as f64 / 1000.0))
}

/// What the last ticket called in the last half hour had waited, seconds.
fn last_called(sql: &mut dyn Sql, hall: &HallId, now: UtcMillis) -> Result<Option<f64>, StoreError> {
    let row = sql.query_one(
        "SELECT called_at - issued_at FROM tickets WHERE hall = $1 AND issued_at >= $2 AND called_at >= $3 \
         AND called_at <= $4 ORDER BY called_at DESC LIMIT 1",
        params![hall, now.plus(-12 * 3_600_000), now.plus(-30 * 60_000), now],
    )?;
    row.map(|row| Ok(row.get::<i64>(0)?.max(0) as f64 / 1000.0)).transpose()
}
