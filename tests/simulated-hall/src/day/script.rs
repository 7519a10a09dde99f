//! The discrete-event simulation behind [`Day`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use super::dice::Dice;
use super::plan::Plan;
use super::step::{Action, Expectation, PressedKey, RAW_OF_GRADE, Step};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// How many come in each eighth of the opening time, relative to each other: a morning peak, an empty noon, a smaller
/// peak after it.
const ARRIVALS: [f64; 8] = [1.6, 1.8, 1.1, 0.4, 0.6, 1.1, 1.0, 0.5];
/// Grades are dealt from this hand, shuffled each time it is empty: mostly good, and in every dozen all five.
const GRADES: [u8; 12] = [5, 5, 5, 5, 5, 5, 4, 4, 3, 3, 2, 1];

/// A day's steps, in order of their offsets.
#[derive(Debug, Clone)]
pub struct Day {
    plan: Plan,
    dice: Dice,
    agenda: BinaryHeap<Reverse<(u64, u64, Event)>>,
    scheduled: u64,
    numbers: HashMap<usize, u32>,
    waiting: VecDeque<(String, usize)>,
    desks: Vec<Desk>,
    to_come: usize,
    hand: Vec<u8>,
    no_calls_until: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive { business: usize },
    Punch { clerk: usize, state: u8 },
    SignIn { desk: usize },
    Break { desk: usize },
    Think { desk: usize },
    Recall { desk: usize, more: u8, comes: bool },
    NoShow { desk: usize },
    Start { desk: usize },
    Interrupt { desk: usize, hold: bool },
    CallTransferred { desk: usize },
    Fiddle { desk: usize },
    Finish { desk: usize },
    Rate { desk: usize, grade: u8, again: bool },
    Unsolicited { desk: usize, grade: u8 },
    Reopen { desk: usize },
}

/// What goes on at a window.
#[derive(Debug, Clone, Default)]
struct Desk {
    open: bool,
    paused: bool,
    wants_break: bool,
    /// The case at the window, with its business; present from the call until its service ends.
    current: Option<(String, usize)>,
    /// The case that may be rated.
    invited: Option<String>,
    held: Option<(String, usize)>,
    /// A case sent here by another window, to be called by its number.
    sent: Option<(String, usize)>,
}

impl Day {
    /// The day of `plan` that `seed` decides.
    #[must_use]
    pub fn new(seed: u64, plan: Plan) -> Self {
        Self::with_numbers(seed, plan, &HashMap::new())
    }

    /// The same, where some ticket numbers were given out before: by the index of the business, how many.
    #[must_use]
    pub fn with_numbers(seed: u64, plan: Plan, given: &HashMap<usize, u32>) -> Self {
        let mut day = Self {
            dice: Dice::new(seed),
            agenda: BinaryHeap::new(),
            scheduled: 0,
            numbers: given.clone(),
            waiting: VecDeque::new(),
            desks: vec![Desk::default(); plan.windows.len()],
            to_come: 0,
            hand: Vec::new(),
            no_calls_until: 0,
            plan,
        };
        day.arrivals();
        day.staff();
        day
    }

    /// Ticket numbers given out so far, by the index of the business, for the next day's
    /// [`Day::with_numbers`].
    #[must_use]
    pub fn numbers(&self) -> &HashMap<usize, u32> {
        &self.numbers
    }

    fn arrivals(&mut self) {
        let served = self.plan.served();
        if served.is_empty() {
            return;
        }
        let part = self.plan.open / ARRIVALS.len() as u64;
        let whole: f64 = ARRIVALS.iter().sum();
        for (index, weight) in ARRIVALS.iter().enumerate() {
            let mean = part as f64 / (f64::from(self.plan.tickets) * weight / whole).max(1e-9);
            let (mut at, end) = (part * index as u64, part * (index as u64 + 1));
            loop {
                at += self.dice.exponential(mean).max(1);
                if at >= end {
                    break;
                }
                let pick = self.dice.between(0, served.len() as u64) as usize;
                let Some(business) = served.get(pick).copied() else { continue };
                self.to_come += 1;
                self.later(self.plan.lead + at, Event::Arrive { business });
            }
        }
    }

    fn staff(&mut self) {
        let lead = self.plan.lead;
        let mut arrived = Vec::new();
        for clerk in 0..self.plan.clerks.len() {
            // One in eight comes late, between one and fifteen minutes; whoever is last in the list always is, so
            // that every day has one.
            let late = self.dice.chance(0.125) || clerk > 1 && clerk + 1 == self.plan.clerks.len();
            let at = if late {
                lead + self.dice.between(MINUTE, 15 * MINUTE)
            } else {
                self.dice.between(SECOND, lead.max(2 * SECOND))
            };
            arrived.push(at);
            self.later(at, Event::Punch { clerk, state: 0 });
        }
        for desk in 0..self.plan.windows.len() {
            let clerk = self.plan.windows.get(desk).map_or(0, |window| window.clerk);
            let at = arrived.get(clerk).copied().unwrap_or(0);
            let ready = (at + self.dice.between(30 * SECOND, 2 * MINUTE)).max(lead / 2);
            self.later(ready, Event::SignIn { desk });
            let pause = lead + self.dice.between(self.plan.open / 5, self.plan.open);
            self.later(pause, Event::Break { desk });
        }
    }

    fn later(&mut self, at: u64, event: Event) {
        self.scheduled += 1;
        self.agenda.push(Reverse((at, self.scheduled, event)));
    }

    fn desk(&mut self, desk: usize) -> Option<&mut Desk> {
        self.desks.get_mut(desk)
    }

    fn serves(&self, desk: usize, business: usize) -> bool {
        self.plan.windows.get(desk).is_some_and(|window| window.businesses.contains(&business))
    }

    fn grade(&mut self) -> u8 {
        if self.hand.is_empty() {
            self.hand = GRADES.to_vec();
            self.dice.shuffle(&mut self.hand);
        }
        self.hand.pop().unwrap_or(5)
    }

    fn press(
        &self,
        at: u64,
        desk: usize,
        digits: &str,
        key: PressedKey,
        expect: Expectation,
    ) -> Option<Step> {
        let window = self.plan.windows.get(desk)?.number;
        Some(Step { at, action: Action::Press { window, digits: digits.to_owned(), key }, expect })
    }

    fn happen(&mut self, at: u64, event: Event) -> Option<Step> {
        match event {
            Event::Arrive { business } => self.arrive(at, business),
            Event::Punch { clerk, state } => {
                let employee = self.plan.clerks.get(clerk)?.number.clone();
                let late = state == 0 && at > self.plan.lead;
                let expect = Expectation::Punched { employee: employee.clone(), late };
                Some(Step { at, action: Action::Punch { employee, state }, expect })
            }
            Event::SignIn { desk } => {
                let clerk = self.clerk(desk)?;
                self.desk(desk)?.open = true;
                self.later(at + 5 * SECOND, Event::Think { desk });
                self.press(at, desk, &clerk.clone(), PressedKey::Function, Expectation::SignedIn { clerk })
            }
            Event::Break { desk } => {
                self.desk(desk)?.wants_break = true;
                None
            }
            Event::Think { desk } => self.think(at, desk),
            Event::Recall { desk, more, comes } => self.recall(at, desk, more, comes),
            Event::NoShow { desk } => {
                let (ticket, _) = self.desk(desk)?.current.take()?;
                self.think_again(at, desk);
                self.press(at, desk, "5", PressedKey::Function, Expectation::NoShow { ticket })
            }
            Event::Start { desk } => self.start(at, desk),
            Event::Interrupt { desk, hold } => self.interrupt(at, desk, hold),
            Event::CallTransferred { desk } => {
                let (ticket, business) = self.desk(desk)?.sent.take()?;
                self.called(at, desk, (ticket, business), true)
            }
            Event::Fiddle { desk } => {
                // A child plays with the evaluator while its parent is served.
                self.desk(desk)?.current.as_ref()?;
                let grade = self.dice.between(1, 6) as u8;
                self.rate(at, desk, grade, Expectation::Unsolicited)
            }
            Event::Finish { desk } => self.finish(at, desk),
            Event::Rate { desk, grade, again } => {
                let ticket = self.desk(desk)?.invited.take()?;
                if again {
                    let other = grade % 5 + 1;
                    self.later(at + 2 * SECOND, Event::Unsolicited { desk, grade: other });
                }
                self.rate(at, desk, grade, Expectation::Rated { ticket, grade })
            }
            Event::Unsolicited { desk, grade } => self.rate(at, desk, grade, Expectation::Unsolicited),
            Event::Reopen { desk } => {
                self.desk(desk)?.paused = false;
                self.later(at + 5 * SECOND, Event::Think { desk });
                self.press(at, desk, "", PressedKey::Pause, Expectation::Reopened)
            }
        }
    }

    fn clerk(&self, desk: usize) -> Option<String> {
        let clerk = self.plan.windows.get(desk)?.clerk;
        Some(self.plan.clerks.get(clerk)?.number.clone())
    }

    fn arrive(&mut self, at: u64, business: usize) -> Option<Step> {
        let kind = self.plan.businesses.get(business)?.clone();
        let given = self.numbers.entry(business).or_insert(0);
        let number = format!("{}{:03}", kind.prefix, kind.first + *given);
        *given += 1;
        self.to_come -= 1;
        let waiting = self.waiting.iter().filter(|(_, other)| *other == business).count() as u32;
        self.waiting.push_back((number.clone(), business));
        let expect = Expectation::Issued { ticket: number.clone() };
        Some(Step { at, action: Action::Ticket { number, business: kind.name, waiting }, expect })
    }

    fn rate(&self, at: u64, desk: usize, grade: u8, expect: Expectation) -> Option<Step> {
        let raw = *RAW_OF_GRADE.get(usize::from(grade.clamp(1, 5)) - 1)?;
        let window = self.plan.windows.get(desk)?.number;
        Some(Step { at, action: Action::Rate { window, raw }, expect })
    }

    fn think_again(&mut self, at: u64, desk: usize) {
        let pause = self.dice.between(5 * SECOND, 25 * SECOND);
        self.later(at + pause, Event::Think { desk });
    }

    /// A clerk at a free window looks what there is to do.
    fn think(&mut self, at: u64, desk: usize) -> Option<Step> {
        let state = self.desks.get(desk)?;
        if !state.open || state.paused || state.current.is_some() || state.sent.is_some() {
            return None;
        }
        if at < self.no_calls_until {
            self.later(self.no_calls_until + SECOND, Event::Think { desk });
            return None;
        }
        let next = self.waiting.iter().position(|(_, business)| self.serves(desk, *business));
        let has_held = state.held.is_some();
        if state.wants_break && state.invited.is_none() && !has_held {
            let state = self.desk(desk)?;
            (state.wants_break, state.paused) = (false, true);
            let back = at + self.dice.between(3 * MINUTE, 10 * MINUTE);
            self.later(back, Event::Reopen { desk });
            return self.press(at, desk, "", PressedKey::Pause, Expectation::Paused);
        }
        if has_held && (next.is_none() || self.dice.chance(0.3)) {
            let (ticket, business) = self.desk(desk)?.held.take()?;
            self.serve(at, desk, &ticket, business, false);
            return self.press(at, desk, "3", PressedKey::Function, Expectation::Resumed { ticket });
        }
        if let Some(next) = next {
            return self.call(at, desk, next);
        }
        if self.to_come == 0 && self.waiting.is_empty() {
            return self.leave(at, desk);
        }
        let pause = self.dice.between(10 * SECOND, 40 * SECOND);
        self.later(at + pause, Event::Think { desk });
        None
    }

    /// The day is over for this window, unless another could still send a case here.
    fn leave(&mut self, at: u64, desk: usize) -> Option<Step> {
        let clerk = self.plan.windows.get(desk)?.clerk;
        let number = self.clerk(desk)?;
        let state = self.desk(desk)?;
        state.open = false;
        state.invited = None;
        let home = at + self.dice.between(MINUTE, 10 * MINUTE);
        self.later(home, Event::Punch { clerk, state: 1 });
        self.press(at, desk, "4", PressedKey::Function, Expectation::SignedOut { clerk: number })
    }

    /// Calls the longest-waiting ticket, which is at `next`; now and then another by its number.
    fn call(&mut self, at: u64, desk: usize, next: usize) -> Option<Step> {
        let others: Vec<usize> = (next + 1..self.waiting.len())
            .filter(|other| {
                self.waiting.get(*other).is_some_and(|(_, business)| self.serves(desk, *business))
            })
            .collect();
        if !others.is_empty() && self.dice.chance(0.06) {
            let pick = self.dice.between(0, others.len() as u64) as usize;
            let chosen = *others.get(pick)?;
            let digits = digits_of(&self.waiting.get(chosen)?.0);
            let same = |(ticket, _): &&(String, usize)| digits_of(ticket) == digits;
            if self.waiting.iter().filter(same).count() == 1 {
                let case = self.waiting.remove(chosen)?;
                return self.called(at, desk, case, true);
            }
        }
        let case = self.waiting.remove(next)?;
        self.called(at, desk, case, false)
    }

    /// The call is pressed; decides how it goes on.
    fn called(&mut self, at: u64, desk: usize, case: (String, usize), typed: bool) -> Option<Step> {
        let state = self.desk(desk)?;
        // A call closes the invitation before it; the case that was still at the window ends with it.
        state.invited = None;
        let ended = state.current.take().map(|(ticket, _)| ticket);
        let ticket = case.0.clone();
        state.current = Some(case);
        let walk = self.dice.between(12 * SECOND, 50 * SECOND);
        let fate = self.dice.unit();
        if fate < 0.07 {
            let more = u8::from(self.dice.chance(0.4));
            self.later(at + walk, Event::Recall { desk, more, comes: false });
        } else if fate < 0.17 {
            self.later(at + walk, Event::Recall { desk, more: 0, comes: true });
        } else {
            self.later(at + walk, Event::Start { desk });
        }
        let digits = if typed { digits_of(&ticket) } else { String::new() };
        self.press(at, desk, &digits, PressedKey::Call, Expectation::Called { ticket, ended })
    }

    fn recall(&mut self, at: u64, desk: usize, more: u8, comes: bool) -> Option<Step> {
        let ticket = self.desk(desk)?.current.as_ref()?.0.clone();
        let pause = self.dice.between(15 * SECOND, 40 * SECOND);
        let then = match (more, comes) {
            (0, true) => Event::Start { desk },
            (0, false) => Event::NoShow { desk },
            _ => Event::Recall { desk, more: more - 1, comes },
        };
        self.later(at + pause, then);
        self.press(at, desk, "", PressedKey::Recall, Expectation::Recalled { ticket })
    }

    fn start(&mut self, at: u64, desk: usize) -> Option<Step> {
        let (ticket, business) = self.desk(desk)?.current.clone()?;
        self.serve(at, desk, &ticket, business, true);
        // Some clerks forget the key.
        if self.dice.chance(0.05) {
            return None;
        }
        self.press(at, desk, "", PressedKey::Start, Expectation::Started { ticket })
    }

    /// The person is at the window: decides how long it takes and whether something comes between. After a call
    /// (not after a hold) no rating of the case before can be open, so the evaluator may be played with.
    fn serve(&mut self, at: u64, desk: usize, ticket: &str, business: usize, after_call: bool) {
        let mean = self.plan.service as f64;
        let time = (mean * 0.25) as u64 + self.dice.exponential(mean * 0.75);
        let fate = self.dice.unit();
        let half = at + time.max(20 * SECOND) / 2;
        if fate < 0.05 {
            self.later(half, Event::Interrupt { desk, hold: true });
        } else if fate < 0.11 {
            self.later(half, Event::Interrupt { desk, hold: false });
        } else {
            self.later(at + time.max(20 * SECOND), Event::Finish { desk });
        }
        if self.dice.chance(0.04) && after_call {
            self.later(half - SECOND, Event::Fiddle { desk });
        }
        if let Some(state) = self.desk(desk) {
            state.current = Some((ticket.to_owned(), business));
        }
    }

    /// Holds the case (a paper is missing) or transfers it; goes on serving when neither is possible now.
    fn interrupt(&mut self, at: u64, desk: usize, hold: bool) -> Option<Step> {
        let (ticket, business) = self.desk(desk)?.current.clone()?;
        if hold && self.desk(desk)?.held.is_none() {
            let state = self.desk(desk)?;
            state.held = state.current.take();
            self.think_again(at, desk);
            return self.press(at, desk, "0", PressedKey::Function, Expectation::Held { ticket });
        }
        let free = |state: &Desk| {
            state.open
                && !state.paused
                && state.current.is_none()
                && state.sent.is_none()
                && state.invited.is_none()
        };
        let target = (0..self.desks.len()).find(|other| {
            *other != desk && self.serves(*other, business) && self.desks.get(*other).is_some_and(free)
        });
        let digits = digits_of(&ticket);
        let unique = self.waiting.iter().all(|(other, _)| digits_of(other) != digits);
        let (Some(target), true) = (target, !hold && unique && at >= self.no_calls_until) else {
            self.later(at + self.plan.service / 2, Event::Finish { desk });
            return None;
        };
        let number = self.plan.windows.get(target)?.number;
        let case = self.desk(desk)?.current.take()?;
        self.desk(target)?.sent = Some(case);
        self.no_calls_until = at + 4 * SECOND;
        self.later(at + 3 * SECOND, Event::CallTransferred { desk: target });
        self.think_again(at + 4 * SECOND, desk);
        let expect = Expectation::Transferred { ticket, to: number };
        self.press(at, desk, &number.to_string(), PressedKey::Start, expect)
    }

    fn finish(&mut self, at: u64, desk: usize) -> Option<Step> {
        self.desk(desk)?.current.as_ref()?;
        let next = self.waiting.iter().position(|(_, business)| self.serves(desk, *business));
        if let Some(next) = next
            && at >= self.no_calls_until
            && self.dice.chance(0.05)
        {
            // In a hurry: calls the next one and forgets to ask for a rating.
            return self.call(at, desk, next);
        }
        let (ticket, _) = self.desk(desk)?.current.take()?;
        self.desk(desk)?.invited = Some(ticket.clone());
        if self.dice.chance(0.8) {
            let within = self.plan.rate_within.max(2);
            let after = self.dice.between(within / 4, within);
            let (grade, again) = (self.grade(), self.dice.chance(0.05));
            self.later(at + after, Event::Rate { desk, grade, again });
            self.think_again(at + after + 3 * SECOND, desk);
        } else {
            self.later(at + 3 * self.plan.rate_within, Event::Think { desk });
        }
        self.press(at, desk, "", PressedKey::Evaluate, Expectation::Ended { ticket })
    }
}

fn digits_of(ticket: &str) -> String {
    ticket.chars().filter(char::is_ascii_digit).collect()
}

impl Iterator for Day {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            let Reverse((at, _, event)) = self.agenda.pop()?;
            if let Some(step) = self.happen(at, event) {
                return Some(step);
            }
        }
    }
}
