//! The comparison of a centre's record with a simulated hall's own log, by identity: which ticket, which window, which
//! grade, when. Counts alone would let one lost and one doubled event cancel each other.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use jiff::{Timestamp, tz::TimeZone};
use region::api::Api;
use serde_json::Value;
use simulated_hall::{
    day::{Action, Expectation},
    oracle::{self, Record},
};

/// How far the time of an event at the centre may be from the moment the simulated hall did it.
pub const TOLERANCE_MS: i64 = 1_500;

/// A rating after this many milliseconds may have come too late for its window; then both outcomes are right.
const RATING_WINDOW_MS: u64 = 9_500;

/// One fact, with the time it was done; two facts are the same if their words are and their times are near.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// What, with every identity in it.
    pub words: String,
    /// When, UTC milliseconds.
    pub at: i64,
    /// For so many milliseconds it was said again because nobody answered; it is on record as of when it was heard.
    pub late: i64,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Difference {
    /// Done in the hall and not on record.
    pub lost: Vec<Fact>,
    /// On record and not done, or on record twice.
    pub invented: Vec<Fact>,
    /// How many agree, by kind.
    pub agreed: Vec<(&'static str, usize)>,
}

impl Difference {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.lost.is_empty() && self.invented.is_empty()
    }
}

/// Pairs `done` and `recorded` facts of one kind.
fn pair(kind: &'static str, mut done: Vec<Fact>, mut recorded: Vec<Fact>, difference: &mut Difference) {
    done.sort();
    recorded.sort();
    let mut agreed = 0;
    for fact in done {
        let same = |other: &&Fact| {
            other.words == fact.words
                && (fact.at - TOLERANCE_MS..=fact.at + fact.late + TOLERANCE_MS).contains(&other.at)
        };
        match recorded.iter().find(same).cloned().and_then(|found| recorded.iter().position(|r| *r == found))
        {
            Some(at) => {
                recorded.remove(at);
                agreed += 1;
            }
            None => {
                difference.lost.push(Fact { words: format!("{kind}: {}", fact.words), at: fact.at, late: 0 })
            }
        }
    }
    difference.invented.extend(recorded.into_iter().map(|f| Fact {
        words: format!("{kind}: {}", f.words),
        at: f.at,
        late: 0,
    }));
    difference.agreed.push((kind, agreed));
}

fn utc(text: &Value) -> Result<i64> {
    let text = text.as_str().with_context(|| format!("{text} is not a time"))?;
    Ok(text.parse::<Timestamp>()?.as_millisecond())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Compares tickets, calls, ratings, unsolicited presses, punches and cases of one hall since `from`.
pub async fn compare(api: &Api, hall: &str, log: &std::path::Path, from: Timestamp) -> Result<Difference> {
    let records: Vec<Record> = oracle::read(log)?.into_iter().filter(|r| r.at >= from).collect();
    let at = |record: &Record| record.at.as_millisecond();
    let late =
        |record: &Record| record.acknowledged.map_or(0, |then| then.as_millisecond() - at(record)).max(0);
    let mut difference = Difference::default();
    let since = format!("hall={hall}&from={from}");

    let tickets = api.all(&format!("/api/v1/tickets?{since}"), "after").await?;
    let done = records.iter().filter_map(|r| match &r.action {
        Action::Ticket { number, business, .. } => {
            Some(Fact { words: format!("{number} {business}"), at: at(r), late: late(r) })
        }
        _ => None,
    });
    let recorded = tickets.iter().filter(|t| !t["issued_at"].is_null()).map(|t| {
        Ok(Fact {
            words: format!("{} {}", text(&t["ticket"]), text(&t["business"])),
            late: 0,
            at: utc(&t["issued_at"])?,
        })
    });
    pair("ticket", done.collect(), recorded.collect::<Result<_>>()?, &mut difference);

    let events = api.all(&format!("/api/v1/events?hall={hall}&from={from}"), "after").await?;
    let window = |number: u8| format!("{hall}-W{number:02}");
    let of_kind = |kind: &'static str, words: fn(&Value) -> String| -> Result<Vec<Fact>> {
        let of_kind = events.iter().filter(|e| e["kind"] == kind);
        let facts = of_kind.map(|e| {
            Ok(Fact {
                words: format!("{} {}", text(&e["window"]), words(&e["body"])).trim_end().to_owned(),
                late: 0,
                at: utc(&e["at"])?,
            })
        });
        let facts: Vec<Fact> = facts.collect::<Result<_>>()?;
        Ok(facts.into_iter().filter(|fact| fact.at >= from.as_millisecond()).collect())
    };
    let at_window = |wanted: fn(&Expectation) -> Option<String>| -> Vec<Fact> {
        records
            .iter()
            .filter_map(|r| {
                let (Action::Press { window: number, .. } | Action::Rate { window: number, .. }) = &r.action
                else {
                    return None;
                };
                let words = wanted(r.expect.as_ref()?)?;
                Some(Fact {
                    words: format!("{} {words}", window(*number)).trim_end().to_owned(),
                    at: at(r),
                    late: late(r),
                })
            })
            .collect()
    };
    let ticket_of = |body: &Value| text(&body["ticket"]);
    let of_ticket = |e: &Expectation| match e {
        Expectation::Called { ticket, .. } => Some(ticket.clone()),
        _ => None,
    };
    pair("call", at_window(of_ticket), of_kind("ticket.called", ticket_of)?, &mut difference);
    let recalled = |e: &Expectation| match e {
        Expectation::Recalled { ticket } => Some(ticket.clone()),
        _ => None,
    };
    pair("recall", at_window(recalled), of_kind("ticket.recalled", ticket_of)?, &mut difference);
    let started = |e: &Expectation| match e {
        Expectation::Started { ticket } => Some(ticket.clone()),
        _ => None,
    };
    pair("start", at_window(started), of_kind("service.started", ticket_of)?, &mut difference);
    let no_show = |e: &Expectation| match e {
        Expectation::NoShow { ticket } => Some(ticket.clone()),
        _ => None,
    };
    pair("no-show", at_window(no_show), of_kind("ticket.no_show", ticket_of)?, &mut difference);
    let held = |e: &Expectation| match e {
        Expectation::Held { ticket } => Some(ticket.clone()),
        _ => None,
    };
    pair("hold", at_window(held), of_kind("ticket.held", ticket_of)?, &mut difference);
    let transferred = |e: &Expectation| match e {
        Expectation::Transferred { ticket, .. } => Some(ticket.clone()),
        _ => None,
    };
    pair("transfer", at_window(transferred), of_kind("ticket.transferred", ticket_of)?, &mut difference);
    let signed_in = |e: &Expectation| match e {
        Expectation::SignedIn { clerk } => Some(clerk.clone()),
        _ => None,
    };
    pair(
        "sign-in",
        at_window(signed_in),
        of_kind("clerk.signed_in", |b| text(&b["clerk"]))?,
        &mut difference,
    );
    let paused = |e: &Expectation| matches!(e, Expectation::Paused).then(String::new);
    pair("pause", at_window(paused), of_kind("window.paused", |_| String::new())?, &mut difference);

    // A press that came so late that its invitation may have run out can have counted or not; it is looked at on its own.
    let doubtful: BTreeSet<u64> = records
        .iter()
        .filter(|r| r.since_invited_ms.is_some_and(|ms| ms > RATING_WINDOW_MS))
        .map(|r| r.n)
        .collect();
    let ratings = api.all(&format!("/api/v1/ratings?{since}"), "after").await?;
    let pressed = |solicited: bool| -> Vec<Fact> {
        let rated = records.iter().filter(|r| !doubtful.contains(&r.n)).filter_map(|r| {
            match (&r.action, &r.expect) {
                (Action::Rate { window: n, raw }, Some(Expectation::Rated { ticket, grade }))
                    if solicited =>
                {
                    Some(Fact {
                        words: format!("{} {ticket} grade {grade} raw {raw}", window(*n)),
                        at: at(r),
                        late: late(r),
                    })
                }
                (Action::Rate { window: n, raw }, Some(Expectation::Unsolicited)) if !solicited => {
                    Some(Fact { words: format!("{} raw {raw}", window(*n)), at: at(r), late: late(r) })
                }
                _ => None,
            }
        });
        rated.collect()
    };
    let rated = ratings.iter().filter(|r| r["outcome"] == "given").map(|r| {
        let words =
            format!("{} {} grade {} raw {}", text(&r["window"]), text(&r["ticket"]), r["grade"], r["raw"]);
        Ok(Fact { words, late: 0, at: utc(&r["at"])? })
    });
    pair("rating", pressed(true), rated.collect::<Result<_>>()?, &mut difference);
    let unsolicited = ratings.iter().filter(|r| r["outcome"] == "unsolicited").map(|r| {
        Ok(Fact { words: format!("{} raw {}", text(&r["window"]), r["raw"]), late: 0, at: utc(&r["at"])? })
    });
    pair("unsolicited press", pressed(false), unsolicited.collect::<Result<_>>()?, &mut difference);
    if !doubtful.is_empty() {
        println!("{} presses came {RATING_WINDOW_MS} ms or more after their invitation", doubtful.len());
        difference.invented.retain(|fact| {
            !doubtful
                .iter()
                .any(|n| records.iter().any(|r| r.n == *n && (at(r) - fact.at).abs() <= TOLERANCE_MS))
        });
    }

    let punches = api.all(&format!("/api/v1/punches?{since}"), "after").await?;
    let zone = TimeZone::get("Asia/Shanghai")?;
    let done = records.iter().filter_map(|r| match (&r.action, r.device_time) {
        (Action::Punch { employee, state }, Some(time)) => {
            let at = zone.to_timestamp(time).ok()?.as_millisecond();
            Some(Fact { words: format!("{employee} state {state}"), at, late: 0 })
        }
        _ => None,
    });
    let recorded = punches.iter().map(|p| {
        Ok(Fact {
            words: format!("{} state {}", text(&p["employee"]), p["state"]),
            late: 0,
            at: utc(&p["punched_at"])?,
        })
    });
    pair("punch", done.collect(), recorded.collect::<Result<_>>()?, &mut difference);

    // One case for each ticket, with the grade its rating gave it.
    let cases = api.all(&format!("/api/v1/cases?{since}"), "after").await?;
    let graded = |number: &str| {
        records.iter().filter(|r| !doubtful.contains(&r.n)).find_map(|r| match &r.expect {
            Some(Expectation::Rated { ticket, grade }) if ticket == number => Some(*grade),
            _ => None,
        })
    };
    let doubtful_tickets: BTreeSet<String> = records
        .iter()
        .filter(|r| doubtful.contains(&r.n))
        .filter_map(|r| match &r.expect {
            Some(Expectation::Rated { ticket, .. }) => Some(ticket.clone()),
            _ => None,
        })
        .collect();
    let done = records.iter().filter_map(|r| match &r.action {
        Action::Ticket { number, .. } if !doubtful_tickets.contains(number) => {
            let grade = graded(number).map_or_else(|| "null".to_owned(), |g| g.to_string());
            Some(Fact { words: format!("{number} grade {grade}"), at: at(r), late: late(r) })
        }
        _ => None,
    });
    let recorded = cases.iter().filter(|c| !doubtful_tickets.contains(&text(&c["ticket"]))).map(|c| {
        Ok(Fact {
            words: format!("{} grade {}", text(&c["ticket"]), c["grade"]),
            late: 0,
            at: utc(&c["opened_at"])?,
        })
    });
    pair("case", done.collect(), recorded.collect::<Result<_>>()?, &mut difference);
    Ok(difference)
}

/// Waits until the record agrees with the log, or gives what still differs after `limit`.
pub async fn settle(
    api: &Api,
    hall: &str,
    log: &std::path::Path,
    from: Timestamp,
    limit: std::time::Duration,
) -> Result<Difference> {
    let begun = std::time::Instant::now();
    loop {
        let difference = compare(api, hall, log, from).await?;
        if difference.is_none() || begun.elapsed() > limit {
            return Ok(difference);
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}
