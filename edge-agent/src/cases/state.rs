//! What is known of the queue and the windows: nothing but the fold of the events, so that it can be had again from
//! the journal. Decisions are not made here.

use std::collections::{BTreeMap, VecDeque};

use control_protocol::{CaseId, Happening, UtcMillis, WindowId, event::Grade};
use jiff::{Span, Zoned};

use super::{At, SessionConfig, Tagged};

/// How many changes of a window are remembered for readings that come late.
const REMEMBERED: usize = 64;

/// Where a case is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the queue; of one window alone after a transfer.
    Waiting { to: Option<WindowId> },
    /// At a window.
    Window(WindowId),
    /// On hold at a window.
    Held(WindowId),
    /// Over.
    Closed,
}

/// A case and its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) ticket: String,
    pub(super) business: String,
    pub(super) priority: u8,
    pub(super) place: Place,
    /// When it came to its place, monotonic microseconds: the order of waiting.
    pub(super) since: i64,
    /// When its day ends, monotonic microseconds.
    pub(super) expires: i64,
    /// Whether its ticket was printed; else a clerk typed a number that nobody had been given.
    pub(super) issued: bool,
    /// Whether it has a grade.
    pub(super) graded: bool,
}

/// What a window is doing with its case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Called { started: bool, recalls: u32 },
    Rating { until: i64 },
    Rated { grade: Grade, until: i64 },
}

/// A window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WindowState {
    pub(super) open: bool,
    pub(super) paused: bool,
    pub(super) clerk: Option<String>,
    /// When the day ends that it was opened in.
    pub(super) expires: i64,
    pub(super) busy: Option<(CaseId, Phase)>,
    /// What it was busy with from when on, oldest first.
    pub(super) past: VecDeque<(i64, Option<(CaseId, Phase)>)>,
}

impl WindowState {
    fn set(&mut self, at: i64, busy: Option<(CaseId, Phase)>) {
        self.busy = busy;
        self.past.push_back((at.max(self.last_change()), busy));
        if self.past.len() > REMEMBERED {
            self.past.pop_front();
        }
    }

    pub(super) fn last_change(&self) -> i64 {
        self.past.back().map_or(i64::MIN, |(at, _)| *at)
    }

    /// What the window was busy with at `at`.
    pub(super) fn busy_at(&self, at: i64) -> Option<(CaseId, Phase)> {
        self.past.iter().rev().find(|(from, _)| *from <= at).and_then(|(_, busy)| *busy)
    }
}

/// The whole hall.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) cases: BTreeMap<CaseId, Case>,
    pub(super) windows: BTreeMap<WindowId, WindowState>,
}

/// When the day of `at` ends, on the same axis.
pub(super) fn day_end(config: &SessionConfig, at: At) -> At {
    let local: Zoned = at.utc.timestamp().to_zoned(config.time_zone.clone());
    let hour = config.day_ends_hour;
    let today = local.with().hour(hour).minute(0).second(0).subsec_nanosecond(0).build();
    let end = today
        .ok()
        .and_then(|end| if end > local { Some(end) } else { end.checked_add(Span::new().days(1)).ok() });
    // Only at the ends of the calendar is there no next day; a day's length from now is as good an end as any.
    let utc = end.map_or(at.utc.plus(86_400_000), |end| UtcMillis(end.timestamp().as_millisecond()));
    at.at_utc(utc)
}

impl State {
    /// Takes an event into account. Events that are not the session's change nothing.
    pub(super) fn apply(&mut self, config: &SessionConfig, event: &Tagged) {
        let at = event.at.mono_us;
        match (&event.happening, event.case) {
            (Happening::CaseOpened { ticket, business }, Some(id)) => {
                self.cases.retain(|_, case| case.place != Place::Closed || case.expires > at);
                let case = Case {
                    ticket: ticket.clone(),
                    business: business.clone(),
                    priority: 0,
                    place: Place::Waiting { to: None },
                    since: at,
                    expires: day_end(config, event.at).mono_us,
                    issued: false,
                    graded: false,
                };
                self.cases.insert(id, case);
            }
            (Happening::TicketIssued { priority, .. }, Some(id)) => {
                if let Some(case) = self.cases.get_mut(&id) {
                    case.priority = *priority;
                    case.issued = true;
                }
            }
            (happening, Some(id)) => self.apply_to_case(config, event, happening, id),
            (happening, None) => {
                if let Some(window) = &event.window {
                    self.apply_to_window(config, event.at, window, happening);
                }
            }
        }
    }

    fn apply_to_case(&mut self, config: &SessionConfig, event: &Tagged, happening: &Happening, id: CaseId) {
        use Happening::*;
        let at = event.at.mono_us;
        let Some(case) = self.cases.get_mut(&id) else { return };
        let mut go = |place: Place| {
            case.place = place;
            case.since = at;
        };
        let window = event.window.as_ref();
        match (happening, window) {
            (TicketCalled { .. } | TicketResumed { .. }, Some(w)) => {
                go(Place::Window(w.clone()));
                self.at_window(w).set(at, Some((id, Phase::Called { started: false, recalls: 0 })));
            }
            (TicketTransferred { to_window, .. }, _) => {
                go(Place::Waiting { to: Some(to_window.clone()) });
                self.leave(at, window, id);
            }
            (TicketHeld { .. }, Some(w)) => {
                go(Place::Held(w.clone()));
                self.leave(at, window, id);
            }
            (CaseClosed { .. }, _) => {
                go(Place::Closed);
                self.leave(at, window, id);
            }
            (RatingGiven { grade, .. }, Some(w)) => {
                case.graded = true;
                let until = at.saturating_add(config.linger_us);
                let window = self.at_window(w);
                if matches!(window.busy, Some((busy, Phase::Rating { .. })) if busy == id) {
                    window.set(at, Some((id, Phase::Rated { grade: *grade, until })));
                }
            }
            (RatingInvited { seconds, .. }, Some(w)) => {
                let until = at.saturating_add(i64::from(*seconds) * 1_000_000);
                self.at_window(w).set(at, Some((id, Phase::Rating { until })));
            }
            (ServiceStarted { .. }, Some(w)) => self.change_call(w, id, at, |_, recalls| (true, recalls)),
            (TicketRecalled { count, .. }, Some(w)) => {
                self.change_call(w, id, at, |started, _| (started, *count));
            }
            _ => {}
        }
    }

    fn change_call(
        &mut self,
        window: &WindowId,
        id: CaseId,
        at: i64,
        change: impl Fn(bool, u32) -> (bool, u32),
    ) {
        let window = self.at_window(window);
        if let Some((busy, Phase::Called { started, recalls })) = window.busy
            && busy == id
        {
            let (started, recalls) = change(started, recalls);
            window.set(at, Some((id, Phase::Called { started, recalls })));
        }
    }

    fn apply_to_window(&mut self, config: &SessionConfig, at: At, window: &WindowId, happening: &Happening) {
        let state = self.at_window(window);
        match happening {
            Happening::WindowOpened {} => {
                state.open = true;
                state.paused = false;
                state.expires = day_end(config, at).mono_us;
            }
            Happening::WindowClosed {} => {
                state.open = false;
                state.paused = false;
            }
            Happening::WindowPaused { .. } => state.paused = true,
            Happening::WindowResumed {} => state.paused = false,
            Happening::ClerkSignedIn { clerk } => state.clerk = Some(clerk.clone()),
            Happening::ClerkSignedOut { .. } => state.clerk = None,
            _ => {}
        }
    }

    pub(super) fn at_window(&mut self, window: &WindowId) -> &mut WindowState {
        self.windows.entry(window.clone()).or_default()
    }

    fn leave(&mut self, at: i64, window: Option<&WindowId>, id: CaseId) {
        let Some(window) = window.and_then(|w| self.windows.get_mut(w)) else { return };
        if window.busy.is_some_and(|(busy, _)| busy == id) {
            window.set(at, None);
        }
    }
}

/// The digits of a ticket number.
pub(super) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// How well typed digits fit a ticket number: 0 exactly, 1 but for leading zeros; `None`: not at all.
pub(super) fn fit(number: &str, typed: &str) -> Option<u8> {
    let own = digits(number);
    if own.is_empty() || typed.is_empty() {
        return None;
    }
    if own == typed {
        return Some(0);
    }
    (own.trim_start_matches('0') == typed.trim_start_matches('0')).then_some(1)
}
