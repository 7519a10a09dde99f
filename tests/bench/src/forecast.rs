//! The forecast of waits against simulated days whose process is known: how far it is off, how often its P90 holds, and the same
//! for the estimate that everybody makes in their head, queue × average ÷ windows. Judges nothing.

use anyhow::{Context, Result};
use clap::Args;
use control_center::{
    queue::forecast::{
        Chance, Desk, History, Occupation, Past, Question, Score, Situation, Waiting, answer, waits,
    },
    statistics::Load,
};
use jiff::{ToSpan, civil::Date};

/// Which days.
#[derive(Args)]
pub struct Order {
    /// Days that are scored.
    #[arg(long, default_value_t = 60)]
    days: u32,
    /// Days before them that only make history.
    #[arg(long, default_value_t = 15)]
    before: u32,
    /// Where the days' chance begins. The forecast was made with other days than these.
    #[arg(long, default_value_t = 20_261_127)]
    seed: u64,
    /// Runs of the queue for each forecast.
    #[arg(long, default_value_t = 80)]
    runs: usize,
}

/// Name, mean minutes of service, relative deviation, share of the tickets.
const BUSINESSES: [(&str, f64, f64, f64); 4] = [
    ("社保", 8.0, 0.7, 0.38),
    ("医保", 6.0, 0.6, 0.27),
    ("不动产", 17.0, 0.8, 0.2),
    ("综合", 11.0, 0.9, 0.15),
];
/// What each window takes.
const WINDOWS: [&[usize]; 9] = [&[0], &[0, 1], &[0, 1], &[1], &[2], &[2], &[2, 3], &[3, 0], &[0, 1, 2, 3]];
/// Tickets of an ordinary day.
const TICKETS: f64 = 360.0;
/// Doors are open from 09:00 to 16:30.
const OPEN_S: f64 = 7.5 * 3600.0;
const OPENS_AT_QUARTER: u8 = 36;
const QUARTER_S: f64 = 900.0;
const NO_SHOW: f64 = 0.04;
/// How long a clerk waits for somebody who does not come.
const GIVES_UP_S: f64 = 70.0;

/// A ticket of a simulated day; seconds from the opening.
struct Ticket {
    business: usize,
    issued: f64,
    called: f64,
    started: Option<f64>,
    /// When the window was done with it.
    ended: f64,
    window: usize,
}

/// A simulated day.
struct Day {
    date: Date,
    tickets: Vec<Ticket>,
    /// Window, from, to.
    pauses: Vec<(usize, f64, f64)>,
}

/// Two peaks, at 09:45 and 14:30: how full it is against an ordinary moment.
fn fullness(at: f64) -> f64 {
    let peak = |hour: f64, width: f64| (-((at / 3600.0 - hour) / width).powi(2)).exp();
    0.45 + 1.3 * peak(0.75, 0.9) + 1.0 * peak(5.5, 1.1)
}

fn simulate(date: Date, chance: &mut Chance) -> Day {
    let weekday = [1.25, 1.05, 1.0, 0.95, 1.1, 0.6, 0.5][date.weekday().to_monday_zero_offset() as usize];
    let demand = TICKETS * weekday * (0.12 * chance.normal()).exp();
    let speed = (0.06 * chance.normal()).exp();
    let usual: f64 = (0..30).map(|quarter| fullness(f64::from(quarter) * QUARTER_S)).sum::<f64>() / 30.0;
    let peak = 3.0;
    let mut coming = Vec::new();
    let mut at = 0.0;
    loop {
        // Thinning: gaps of the fullest moment, kept by how full it is.
        at += chance.exponential(OPEN_S / (demand * peak / usual));
        if at >= OPEN_S {
            break;
        }
        if chance.share() < fullness(at) / peak {
            coming.push((at, pick(chance)));
        }
    }
    let mut free = [0.0_f64; WINDOWS.len()];
    let mut planned: Vec<Vec<(f64, f64)>> = (0..WINDOWS.len())
        .map(|_| {
            let mut of: Vec<(f64, f64)> = (0..2)
                .map(|_| (chance.share(), chance.share() * OPEN_S, 420.0 + 900.0 * chance.share()))
                .filter(|(drawn, ..)| *drawn < 0.6)
                .map(|(_, from, length)| (from, length))
                .collect();
            of.sort_by(|a, b| b.0.total_cmp(&a.0));
            of
        })
        .collect();
    let mut day = Day { date, tickets: Vec::new(), pauses: Vec::new() };
    let mut queue: Vec<(f64, usize)> = Vec::new();
    let mut next = 0;
    while let Some((window, now)) =
        free.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, at)| at.is_finite())
    {
        if let Some((_, length)) = planned[window].pop_if(|(from, _)| *from <= now) {
            day.pauses.push((window, now, now + length));
            free[window] = now + length;
            continue;
        }
        while coming.get(next).is_some_and(|(at, _)| *at <= now) {
            queue.push(coming[next]);
            next += 1;
        }
        let Some(first) = queue.iter().position(|(_, business)| WINDOWS[window].contains(business)) else {
            free[window] = coming.get(next).map_or(f64::INFINITY, |(at, _)| *at);
            continue;
        };
        let (issued, business) = queue.remove(first);
        let (_, mean, deviation, _) = BUSINESSES[business];
        let started = (chance.share() >= NO_SHOW).then(|| now + 12.0 + 35.0 * chance.share());
        let ended = match started {
            Some(started) => started + chance.lognormal(mean * 60.0, mean * 60.0 * deviation) * speed,
            None => now + GIVES_UP_S,
        };
        day.tickets.push(Ticket { business, issued, called: now, started, ended, window });
        free[window] = ended + 6.0 + 14.0 * chance.share();
    }
    day.tickets.sort_by(|a, b| a.issued.total_cmp(&b.issued));
    day
}

fn pick(chance: &mut Chance) -> usize {
    let mut left = chance.share();
    BUSINESSES
        .iter()
        .position(|(.., share)| {
            left -= share;
            left < 0.0
        })
        .unwrap_or(0)
}

fn quarter(at: f64) -> u8 {
    OPENS_AT_QUARTER + (at / QUARTER_S) as u8
}

/// The sums of a day, as the centre keeps them.
fn past(day: &Day) -> Vec<Past> {
    let mut rows = Vec::new();
    let mut row = |at: f64, business: usize, load: Load| {
        let business = BUSINESSES[business].0.to_owned();
        rows.push(Past { day: day.date, quarter: quarter(at), business, load });
    };
    for ticket in &day.tickets {
        row(ticket.issued, ticket.business, Load { arrivals: 1, ..Load::default() });
        let Some(started) = ticket.started else { continue };
        let (reach, service) = (started - ticket.called, ticket.ended - started);
        row(
            started,
            ticket.business,
            Load { reaches: 1, reach_ms: (reach * 1000.0) as i64, ..Load::default() },
        );
        let load = Load {
            services: 1,
            service_ms: (service * 1000.0) as i64,
            service_sq_s: (service * service) as i64,
            ..Load::default()
        };
        row(ticket.ended, ticket.business, load);
    }
    rows
}

/// What is known when `of` is taken, and nothing later.
fn situation(day: &Day, of: &Ticket, occupation: &[Occupation]) -> Situation {
    let at = of.issued;
    let paused = |window: usize| {
        day.pauses.iter().any(|(paused, from, to)| *paused == window && (*from..*to).contains(&at))
    };
    let desks = (0..WINDOWS.len()).filter(|window| !paused(*window)).map(|window| {
        let here = |ticket: &&Ticket| ticket.window == window && ticket.called <= at && ticket.ended > at;
        let busy = day.tickets.iter().find(here).map(|ticket| (ticket.business, at - ticket.called));
        Desk { takes: WINDOWS[window].to_vec(), busy }
    });
    let waiting = day.tickets.iter().filter(|ticket| ticket.issued < at && ticket.called > at);
    Situation {
        waiting: waiting
            .map(|ticket| Waiting {
                business: ticket.business,
                desk: None,
                priority: 0,
                waited_s: at - ticket.issued,
            })
            .collect(),
        desks: desks.collect(),
        occupation: occupation.iter().map(|one| (one.mean_s, one.deviation_s)).collect(),
        arrivals: Vec::new(),
    }
}

/// Queue × average ÷ windows: those who wait for a business that this ticket's windows take, the mean service of all days so
/// far, the windows open.
fn in_the_head(situation: &Situation, business: usize, average_s: f64) -> f64 {
    let ahead = situation.waiting.iter().filter(|waiting| waiting.business == business).count();
    let windows = situation.desks.iter().filter(|desk| desk.takes.contains(&business)).count().max(1);
    ahead as f64 * average_s / windows as f64
}

/// Runs the days and prints.
pub fn run(order: &Order) -> Result<()> {
    let mut chance = Chance::of(order.seed);
    let first = Date::new(2026, 3, 2)?;
    let (mut history, mut scores) = (Vec::new(), Vec::new());
    let (mut head, mut whole_queue) = (Score::default(), Score::default());
    let mut total_wait = 0.0;
    for number in 0..order.before + order.days {
        let day = simulate(first.checked_add(i64::from(number).days())?, &mut chance);
        let today = past(&day);
        if number >= order.before {
            let services: i64 = history.iter().map(|past: &Past| past.load.services).sum();
            let sum: i64 = history.iter().map(|past: &Past| past.load.service_ms).sum();
            let average_s = sum as f64 / services.max(1) as f64 / 1000.0;
            let mut score = Score::default();
            let mut known: Option<(u8, Vec<Occupation>)> = None;
            let seen: Vec<Past> = history.iter().chain(&today).cloned().collect();
            for ticket in &day.tickets {
                let now = quarter(ticket.issued);
                if known.as_ref().is_none_or(|(of, _)| *of != now) {
                    let history = History::of(&seen, day.date, now);
                    let of = |(name, ..): &(&str, f64, f64, f64)| history.occupation(name, now, 13.0);
                    let all = BUSINESSES.iter().map(of).collect::<Option<_>>().context("no history")?;
                    known = Some((now, all));
                }
                let Some((_, occupation)) = &known else { continue };
                let situation = situation(&day, ticket, occupation);
                let question = Question { business: ticket.business, in_s: 0.0 };
                let seed = (ticket.issued * 1000.0) as u64;
                let noted = waits(&situation, &[question], order.runs, seed);
                let wait = ticket.called - ticket.issued;
                total_wait += wait;
                if let Some(answer) = answer(&[(&noted[0], 1.0)]) {
                    score.add(answer.p50_s, answer.p90_s, wait);
                }
                let simple = in_the_head(&situation, ticket.business, average_s);
                head.add(simple, simple, wait);
                let all = situation.waiting.len() as f64 * average_s / situation.desks.len().max(1) as f64;
                whole_queue.add(all, all, wait);
            }
            scores.push(score);
        }
        history.extend(today);
    }
    let mut sum = Score::default();
    for score in &scores {
        sum.tickets += score.tickets;
        sum.error_ms += score.error_ms;
        sum.held += score.held;
    }
    let mut daily: Vec<f64> = scores.iter().filter_map(Score::mae_minutes).collect();
    daily.sort_by(f64::total_cmp);
    let shown = |value: Option<f64>| value.map_or("—".to_owned(), |value| format!("{value:.2}"));
    println!(
        "{} days, {} tickets, mean wait {:.1} min; seed {}, {} runs a forecast",
        scores.len(),
        sum.tickets,
        total_wait / f64::from(sum.tickets.max(1)) / 60.0,
        order.seed,
        order.runs
    );
    println!("                                     MAE, min   P90 coverage");
    println!(
        "forecast                             {:>8}   {:>12}",
        shown(sum.mae_minutes()),
        shown(sum.p90_coverage())
    );
    println!("queue of the business × average ÷ windows {:>3}", shown(head.mae_minutes()));
    println!("whole queue × average ÷ windows      {:>8}", shown(whole_queue.mae_minutes()));
    if let (Some(best), Some(worst)) = (daily.first(), daily.last()) {
        println!("forecast, best and worst day         {best:>8.2}   {worst:.2}");
    }
    Ok(())
}
