//! How far the forecasts of a day that is over were from what came: each is made again as of the moment its ticket was taken,
//! from what was known then, and held against the wait. Owns `forecast_scores`; [`outlook`](super::outlook) shows it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use control_protocol::{HallId, UtcMillis};
use jiff::{ToSpan, civil::Date, tz::TimeZone};

use super::{
    forecast::{self, Answer, Desk, History, Past, Question, Score, Situation, Waiting},
    now,
    outlook::{Known, past, turnaround},
};
use crate::{
    Centre, params,
    statistics::{self, Quarter},
    store::{Row, Sql, StoreError},
};

/// Runs of the queue for each ticket of a day that is scored.
const SCORING_RUNS: usize = 80;
/// How far back a score is still shown.
const SCORE_DAYS: i64 = 14;
/// How often halls are looked at whose day is over and not scored.
const SCORING: Duration = Duration::from_secs(60);

/// The newest score of a hall, and its day.
pub(super) fn last_score(
    sql: &mut dyn Sql,
    hall: &HallId,
    today: Date,
) -> Result<Option<(Date, Score)>, StoreError> {
    let from = today.checked_sub(SCORE_DAYS.days()).unwrap_or(today);
    let row = sql.query_one(
        "SELECT day, tickets, error_ms, held FROM forecast_scores WHERE hall = $1 AND day >= $2 AND day < $3 \
         AND tickets > 0 ORDER BY day DESC LIMIT 1",
        params![hall, statistics::day_number(from), statistics::day_number(today)],
    )?;
    let Some(row) = row else { return Ok(None) };
    let Some(day) = statistics::day_of_number(row.get(0)?) else { return Ok(None) };
    let score = Score { tickets: row.get(1)?, error_ms: row.get(2)?, held: row.get(3)? };
    Ok(Some((day, score)))
}

/// A ticket of a day that is over.
struct PastTicket {
    business: String,
    priority: u8,
    window: Option<String>,
    issued: i64,
    called: Option<i64>,
    ended: Option<i64>,
}

/// A day of a hall, for its forecasts to be made again and held against what came.
struct PastDay {
    quarters: Vec<Past>,
    day: Date,
    zone: TimeZone,
    turnaround_s: f64,
    takes: BTreeMap<String, Vec<String>>,
    tickets: Vec<PastTicket>,
    working: Vec<(String, Vec<statistics::Span>)>,
}

impl PastDay {
    /// When a local day begins and ends, UTC milliseconds.
    fn span(day: Date, zone: &TimeZone) -> (i64, i64) {
        let begin =
            |day: Date| day.to_zoned(zone.clone()).map_or(0, |begin| begin.timestamp().as_millisecond());
        (begin(day), begin(day.tomorrow().unwrap_or(day)))
    }

    fn of(sql: &mut dyn Sql, hall: &HallId, day: Date, zone: TimeZone) -> Result<Self, StoreError> {
        let (from, to) = Self::span(day, &zone);
        let rows = sql.query(
            "SELECT COALESCE(business, ''), priority, win, issued_at, called_at, ended_at FROM tickets \
             WHERE hall = $1 AND issued_at >= $2 AND issued_at < $3 ORDER BY issued_at",
            params![hall, from, to],
        )?;
        let read = |row: &Row| {
            Ok(PastTicket {
                business: row.get(0)?,
                priority: row.get(1)?,
                window: row.get(2)?,
                issued: row.get(3)?,
                called: row.get(4)?,
                ended: row.get(5)?,
            })
        };
        Ok(Self {
            quarters: past(sql, hall, day)?,
            day,
            turnaround_s: turnaround(sql, hall, UtcMillis(from))?,
            takes: now::takes(sql, hall)?,
            tickets: rows.iter().map(read).collect::<Result<_, StoreError>>()?,
            working: statistics::working_spans(sql, hall, day, UtcMillis(to))?,
            zone,
        })
    }

    /// Every ticket's forecast at the moment it was taken, against what it waited. Nothing that came later is looked at.
    fn score(self) -> Score {
        let mut score = Score::default();
        let mut known: Option<(u8, Known, Vec<String>)> = None;
        for ticket in &self.tickets {
            let Some(called) = ticket.called else { continue };
            let quarter = Quarter::of(UtcMillis(ticket.issued), &self.zone).number;
            if known.as_ref().is_none_or(|(of, ..)| *of != quarter) {
                let history = History::of(&self.quarters, self.day, quarter);
                let mut businesses: Vec<String> = self
                    .tickets
                    .iter()
                    .map(|ticket| ticket.business.clone())
                    .chain(history.businesses())
                    .collect();
                businesses.sort();
                businesses.dedup();
                let takes = self.takes.clone();
                known =
                    Some((quarter, Known { history, turnaround_s: self.turnaround_s, takes }, businesses));
            }
            let Some((_, known, businesses)) = &known else { continue };
            let answer = self.answer(ticket, known, businesses, quarter);
            if let Some(answer) = answer {
                score.add(answer.p50_s, answer.p90_s, (called - ticket.issued).max(0) as f64 / 1000.0);
            }
        }
        score
    }

    fn answer(&self, of: &PastTicket, known: &Known, businesses: &[String], quarter: u8) -> Option<Answer> {
        let at = of.issued;
        let waits = |ticket: &&PastTicket| {
            ticket.issued < at
                && ticket.called.is_none_or(|called| called > at)
                && ticket.ended.is_none_or(|end| end > at)
        };
        let seconds = |since: i64| (at - since).max(0) as f64 / 1000.0;
        if known.history.is_thin() {
            let called = |ticket: &&PastTicket| ticket.called.is_some_and(|called| called <= at);
            let last = self.tickets.iter().filter(called).max_by_key(|ticket| ticket.called);
            let les = last.and_then(|last| Some((last.called? - last.issued) as f64 / 1000.0));
            let hol = self.tickets.iter().find(waits).map(|ticket| seconds(ticket.issued));
            return forecast::from_delays(les, hol);
        }
        let number = |name: &str| businesses.iter().position(|business| business == name).unwrap_or(0);
        let open = self
            .working
            .iter()
            .filter(|(_, spans)| spans.iter().any(|(from, to)| (from.0..to.0).contains(&at)));
        let desks = open.map(|(window, _)| {
            let takes = known.takes.get(window);
            let here = |ticket: &&PastTicket| {
                ticket.window.as_ref() == Some(window)
                    && ticket.called.is_some_and(|called| called <= at)
                    && ticket.ended.is_some_and(|ended| ended > at)
            };
            let busy = self.tickets.iter().filter(here).max_by_key(|ticket| ticket.called);
            Desk {
                takes: takes.map(|takes| takes.iter().map(|name| number(name)).collect()).unwrap_or_default(),
                busy: busy.and_then(|ticket| Some((number(&ticket.business), seconds(ticket.called?)))),
            }
        });
        let situation = Situation {
            waiting: self
                .tickets
                .iter()
                .filter(waits)
                .map(|ticket| Waiting {
                    business: number(&ticket.business),
                    desk: None,
                    priority: ticket.priority,
                    waited_s: seconds(ticket.issued),
                })
                .collect(),
            desks: desks.collect(),
            occupation: known.occupations(businesses, quarter),
            // Who comes later is called later.
            arrivals: Vec::new(),
        };
        let question = Question { business: number(&of.business), in_s: 0.0 };
        let waits = forecast::waits(&situation, &[question], SCORING_RUNS, at.unsigned_abs());
        forecast::answer(&[(waits.first()?, 1.0)])
    }
}

/// The day of each hall that was scored last, and on how many called tickets: what comes later has it scored again.
pub(super) type Scored = HashMap<HallId, (Date, i64)>;

/// Scores the day before today of every hall once it is over, as long as the centre runs.
pub async fn keep_scores(centre: Centre) {
    let mut scored = Scored::new();
    loop {
        if let Err(error) = score_missing(&centre, &mut scored).await {
            tracing::warn!(%error, "yesterday's forecasts could not be scored; tried again later");
        }
        tokio::select! {
            () = centre.stop.cancelled() => return,
            () = tokio::time::sleep(SCORING) => {}
        }
    }
}

async fn score_missing(centre: &Centre, scored: &mut Scored) -> Result<(), StoreError> {
    for hall in statistics::rebuild::halls(&centre.store).await? {
        if centre.stop.is_cancelled() {
            return Ok(());
        }
        score_yesterday(centre, hall, scored).await?;
    }
    Ok(())
}

/// Scores the last day of `hall`, unless that has been done on the same tickets.
pub(super) async fn score_yesterday(
    centre: &Centre,
    hall: HallId,
    scored: &mut Scored,
) -> Result<(), StoreError> {
    let (now, asked, before) = (centre.clock.now(), hall.clone(), scored.get(&hall).copied());
    let (basis, past) = centre
        .store
        .read(move |sql| {
            let zone = statistics::zone(sql, &asked)?;
            let today = zone.to_datetime(now.timestamp()).date();
            let day = today.yesterday().unwrap_or(today);
            let (from, to) = PastDay::span(day, &zone);
            let called = sql.query_one(
                "SELECT COUNT(*) FROM tickets WHERE hall = $1 AND issued_at >= $2 AND issued_at < $3 \
                 AND called_at IS NOT NULL",
                params![asked, from, to],
            )?;
            let basis = (day, called.map_or(Ok(0), |row| row.get(0))?);
            let fresh = before != Some(basis);
            let past = fresh.then(|| PastDay::of(sql, &asked, day, zone)).transpose()?;
            Ok::<_, StoreError>((basis, past))
        })
        .await?;
    let Some(past) = past else { return Ok(()) };
    let score = tokio::task::spawn_blocking(move || past.score()).await.map_err(|_| StoreError::Closed)?;
    let (day, of) = (statistics::day_number(basis.0), hall.clone());
    centre
        .store
        .write("forecast score", move |tx| {
            tx.execute(
                "INSERT INTO forecast_scores (hall, day, tickets, error_ms, held) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (hall, day) DO UPDATE SET tickets = $3, error_ms = $4, held = $5",
                params![of, day, score.tickets, score.error_ms, score.held],
            )?;
            Ok::<_, StoreError>(())
        })
        .await?;
    scored.insert(hall, basis);
    Ok(())
}
