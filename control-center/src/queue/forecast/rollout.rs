//! The queue-length estimator, worked through window by window: the queue as it stands is served on as the windows would
//! serve it, many times with service times drawn around their means, and a ticket that is only imagined notes when it is
//! called. With one business and equal windows its mean is queue length × service time ÷ windows; unlike that product it
//! is right where windows take different businesses, where a service is half done, and where people are still to come.
//! Pure: chance comes from a seed.

/// A quarter of an hour in seconds.
const QUARTER_S: f64 = 900.0;
/// The longest wait that is worked out.
const LONGEST_S: f64 = 4.0 * 3600.0;
/// How far the means themselves may be wrong from one day to another (relative deviation).
const SERVICE_DOUBT: f64 = 0.1;
const ARRIVAL_DOUBT: f64 = 0.15;

/// The queue and its windows at a moment. Businesses are numbered.
#[derive(Debug, Clone, Default)]
pub struct Situation {
    /// Who waits.
    pub waiting: Vec<Waiting>,
    /// Windows that are open and not paused.
    pub desks: Vec<Desk>,
    /// Mean and deviation of the seconds a case takes a window, by business.
    pub occupation: Vec<(f64, f64)>,
    /// Tickets to be expected, by business, in each of the next quarters of an hour from now.
    pub arrivals: Vec<Vec<f64>>,
}

/// Somebody who waits.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// For what.
    pub business: usize,
    /// At which window alone (after a transfer), by its place in the list of desks.
    pub desk: Option<usize>,
    /// The order of calling: higher priority first, then longer waiting.
    pub priority: u8,
    /// Seconds waited so far.
    pub waited_s: f64,
}

/// A window that works.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    /// What it takes; nothing means everything.
    pub takes: Vec<usize>,
    /// The business it is busy with and for how many seconds already.
    pub busy: Option<(usize, f64)>,
}

impl Desk {
    fn takes(&self, business: usize) -> bool {
        self.takes.is_empty() || self.takes.contains(&business)
    }
}

/// What is asked: a ticket of `business` taken `in_s` seconds from now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    /// Of which business.
    pub business: usize,
    /// When it is taken.
    pub in_s: f64,
}

/// The answer to a question; waits in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Half of such tickets wait no longer.
    pub p50_s: f64,
    /// Nine in ten wait no longer.
    pub p90_s: f64,
}

/// A generator of numbers (SplitMix64): small, and the same numbers for the same seed on every machine.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Between 0 and 1, neither included.
    pub fn share(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.share().ln()
    }

    /// Normal, mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.share().ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos()
    }

    /// Lognormal with this mean and deviation.
    pub fn lognormal(&mut self, mean: f64, deviation: f64) -> f64 {
        let variance = (1.0 + (deviation / mean).powi(2)).ln();
        (mean.ln() - variance / 2.0 + variance.sqrt() * self.normal()).exp()
    }
}

/// A ticket on its way through one run.
#[derive(Clone, Copy)]
struct Ticket {
    /// Seconds from now at which it was taken; negative: it waits already.
    at: f64,
    priority: u8,
    business: usize,
    desk: Option<usize>,
    question: Option<usize>,
}

/// What each question's ticket waited in each of `runs` runs, seconds; [`LONGEST_S`] where it was not called. A question
/// that no window can ever answer has none.
pub fn waits(situation: &Situation, questions: &[Question], runs: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut waits: Vec<Vec<f64>> = vec![Vec::with_capacity(runs); questions.len()];
    for run in 0..runs {
        // Each run has its own numbers, so that one more window changes only what it serves.
        let mut chance = Chance::of(seed.wrapping_add((run as u64).wrapping_mul(0x2545_F491_4F6C_DD1D)));
        one_run(situation, questions, &mut chance, &mut waits);
    }
    for waits in waits.iter_mut().filter(|waits| !waits.is_empty()) {
        waits.resize(runs, LONGEST_S);
    }
    waits
}

/// The middle and the P90 of waits, each group of them with its weight. None without any.
pub fn answer(groups: &[(&[f64], f64)]) -> Option<Answer> {
    let mut all: Vec<(f64, f64)> = groups
        .iter()
        .filter(|(waits, weight)| !waits.is_empty() && *weight > 0.0)
        .flat_map(|(waits, weight)| waits.iter().map(move |wait| (*wait, weight / waits.len() as f64)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let whole: f64 = all.iter().map(|(_, weight)| weight).sum();
    let at = |share: f64| {
        let mut sum = 0.0;
        let found = all.iter().find(|(_, weight)| {
            sum += weight;
            sum >= share * whole * (1.0 - 1e-12)
        });
        found.or(all.last()).map(|(wait, _)| *wait)
    };
    Some(Answer { p50_s: at(0.5)?, p90_s: at(0.9)? })
}

fn one_run(situation: &Situation, questions: &[Question], chance: &mut Chance, waits: &mut [Vec<f64>]) {
    let slower = (SERVICE_DOUBT * chance.normal()).exp();
    let fuller = (ARRIVAL_DOUBT * chance.normal()).exp();
    let takes = |chance: &mut Chance, business: usize| {
        let (mean, deviation) = situation.occupation.get(business).copied().unwrap_or((600.0, 400.0));
        chance.lognormal(mean, deviation.max(1.0)) * slower
    };
    let mut free: Vec<f64> = Vec::with_capacity(situation.desks.len());
    for desk in &situation.desks {
        free.push(match desk.busy {
            None => 0.0,
            Some((business, for_s)) => left(for_s, || takes(chance, business)),
        });
    }
    let mut coming = arrivals(situation, questions, chance, fuller);
    coming.sort_by(|a, b| b.at.total_cmp(&a.at));
    let mut queue: Vec<Ticket> = situation
        .waiting
        .iter()
        .map(|waiting| Ticket {
            at: -waiting.waited_s,
            priority: waiting.priority,
            business: waiting.business,
            desk: waiting.desk,
            question: None,
        })
        .collect();
    let mut open = questions.len();
    while open > 0 {
        let Some((desk, now)) = first_free(&free) else { return };
        if now > LONGEST_S + 3600.0 {
            return;
        }
        while coming.last().is_some_and(|next| next.at <= now) {
            queue.extend(coming.pop());
        }
        let fitting = (0..queue.len()).filter(|at| fits(situation, &queue[*at], desk));
        let first = fitting.min_by(|a, b| order(&queue, *a, *b));
        let Some(first) = first else {
            // Idle until somebody comes.
            match coming.last() {
                Some(next) => free[desk] = next.at.max(now),
                None => free[desk] = f64::INFINITY,
            }
            continue;
        };
        let ticket = queue.swap_remove(first);
        match ticket.question {
            // An imagined ticket is called and takes nobody's time.
            Some(question) => {
                waits[question].push((now - ticket.at).clamp(0.0, LONGEST_S));
                open -= 1;
            }
            None => free[desk] = now + takes(chance, ticket.business),
        }
    }
}

/// What is left of a service that has lasted `for_s` seconds: another draw until one is longer.
fn left(for_s: f64, mut draw: impl FnMut() -> f64) -> f64 {
    for _ in 0..12 {
        let whole = draw();
        if whole > for_s {
            return whole - for_s;
        }
    }
    draw() / 2.0
}

fn first_free(free: &[f64]) -> Option<(usize, f64)> {
    let first = free.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
    first.filter(|(_, at)| at.is_finite())
}

fn fits(situation: &Situation, ticket: &Ticket, desk: usize) -> bool {
    match ticket.desk {
        Some(only) => only == desk,
        None => situation.desks[desk].takes(ticket.business),
    }
}

/// What was sent to the window comes first, then priority, then who waits longest.
fn order(queue: &[Ticket], a: usize, b: usize) -> std::cmp::Ordering {
    let key = |ticket: &Ticket| (ticket.desk.is_none(), std::cmp::Reverse(ticket.priority));
    key(&queue[a]).cmp(&key(&queue[b])).then(queue[a].at.total_cmp(&queue[b].at))
}

fn arrivals(situation: &Situation, questions: &[Question], chance: &mut Chance, fuller: f64) -> Vec<Ticket> {
    let plain = |at: f64, business: usize| Ticket { at, priority: 0, business, desk: None, question: None };
    let mut coming: Vec<Ticket> = questions
        .iter()
        .enumerate()
        .map(|(question, asked)| Ticket { question: Some(question), ..plain(asked.in_s, asked.business) })
        .collect();
    let last = questions.iter().map(|asked| asked.in_s).fold(0.0, f64::max);
    for (business, quarters) in situation.arrivals.iter().enumerate() {
        for (quarter, tickets) in quarters.iter().enumerate() {
            let from = quarter as f64 * QUARTER_S;
            // Who comes after the last question waits behind it.
            if tickets * fuller <= 0.0 || from > last {
                continue;
            }
            let gap = QUARTER_S / (tickets * fuller);
            let mut at = from + chance.exponential(gap);
            while at < from + QUARTER_S && at <= last {
                coming.push(plain(at, business));
                at += chance.exponential(gap);
            }
        }
    }
    coming
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hall(waiting: usize, desks: usize) -> Situation {
        Situation {
            waiting: (0..waiting)
                .map(|at| Waiting { business: 0, desk: None, priority: 0, waited_s: 10.0 * at as f64 })
                .collect(),
            desks: vec![Desk { takes: vec![], busy: Some((0, 0.0)) }; desks],
            occupation: vec![(300.0, 200.0), (300.0, 200.0)],
            arrivals: vec![],
        }
    }

    fn now(situation: &Situation) -> Option<Answer> {
        answer(&[(&waits(situation, &[Question { business: 0, in_s: 0.0 }], 400, 7)[0], 1.0)])
    }

    #[test]
    fn is_queue_length_times_service_by_windows_where_that_is_right() {
        // Twenty wait and four windows have just begun: about (20 + 4) × 300 ÷ 4 − a little at the end.
        let answer = now(&hall(20, 4)).unwrap();
        assert!((1400.0..2000.0).contains(&answer.p50_s), "{answer:?}");
        assert!(answer.p90_s > answer.p50_s * 1.1 && answer.p90_s < answer.p50_s * 2.0, "{answer:?}");
    }

    #[test]
    fn nobody_waits_for_a_free_window_and_nobody_is_called_by_none() {
        let mut situation = hall(0, 2);
        situation.desks[1].busy = None;
        assert_eq!(now(&situation), Some(Answer { p50_s: 0.0, p90_s: 0.0 }));
        assert_eq!(now(&hall(3, 0)), None);
        situation.desks = vec![Desk { takes: vec![1], busy: None }];
        assert_eq!(now(&situation), None, "no window takes that business");
    }

    #[test]
    fn one_more_window_shortens_every_wait() {
        let mut situation = hall(12, 3);
        situation.arrivals = vec![vec![6.0; 8]];
        let questions: Vec<Question> =
            (0..5).map(|quarter| Question { business: 0, in_s: 900.0 * f64::from(quarter) }).collect();
        let before = waits(&situation, &questions, 200, 1);
        situation.desks.push(Desk::default());
        let after = waits(&situation, &questions, 200, 1);
        for (before, after) in before.iter().zip(&after) {
            let (before, after) = (answer(&[(before, 1.0)]).unwrap(), answer(&[(after, 1.0)]).unwrap());
            assert!(after.p50_s < before.p50_s && after.p90_s < before.p90_s, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_ticket_sent_to_a_window_waits_for_that_one() {
        let mut situation = hall(0, 2);
        situation.waiting = vec![Waiting { business: 0, desk: Some(1), priority: 0, waited_s: 5.0 }];
        situation.desks[0].busy = None;
        assert_eq!(now(&situation).unwrap().p90_s, 0.0, "the other window is free");
    }

    #[test]
    fn groups_count_by_their_weight() {
        assert_eq!(answer(&[]), None);
        let (short, long) = (vec![1.0; 10], vec![9.0; 100]);
        let answer = answer(&[(&short, 8.0), (&long, 2.0)]).unwrap();
        assert_eq!((answer.p50_s, answer.p90_s), (1.0, 9.0));
    }

    #[test]
    fn the_same_seed_gives_the_same_answer() {
        let situation = hall(9, 2);
        assert_eq!(now(&situation), now(&situation));
        let mut chance = Chance::of(3);
        let mean = (0..20_000).map(|_| chance.lognormal(300.0, 200.0)).sum::<f64>() / 20_000.0;
        assert!((mean - 300.0).abs() < 10.0, "{mean}");
    }
}
