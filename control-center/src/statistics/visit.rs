//! One case as figures see it: its steps, whatever order they came in, and the sums that follow from them. Pure; the sums
//! are a function of the set of steps, so that a step that comes late corrects them exactly.

use control_protocol::{Event, Happening, UtcMillis, event::EndedBy};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{
    Load,
    quarter::{Loads, Quarter, duration, split},
};

/// What happened to a case. The letters are how a step is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum What {
    #[serde(rename = "i")]
    Issued { b: String },
    #[serde(rename = "o")]
    Opened { b: String },
    #[serde(rename = "c")]
    Called { b: String },
    #[serde(rename = "a")]
    Recalled,
    #[serde(rename = "n")]
    NoShow,
    #[serde(rename = "x")]
    Transferred,
    #[serde(rename = "h")]
    Held,
    #[serde(rename = "s")]
    Started,
    /// Transferred or put on hold: the case goes on.
    #[serde(rename = "p")]
    Interrupted,
    /// The service is over; whether the moment says something about the service.
    #[serde(rename = "e")]
    Ended { ok: bool },
    #[serde(rename = "g")]
    Graded { g: u8 },
    #[serde(rename = "d")]
    NotRated,
    #[serde(rename = "z")]
    Closed { next: bool },
}

/// One step: when, its place in the journal (for steps of one millisecond), what, and the window's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Step(i64, u64, What, String);

impl Step {
    /// The step an event is, if figures see it.
    pub(super) fn of(event: &Event) -> Option<Self> {
        use Happening as H;
        let what = match &event.happening {
            H::TicketIssued { business, .. } => What::Issued { b: business.clone() },
            H::CaseOpened { business, .. } => What::Opened { b: business.clone() },
            H::TicketCalled { business, .. } => What::Called { b: business.clone() },
            H::TicketRecalled { .. } => What::Recalled,
            H::TicketNoShow { .. } => What::NoShow,
            H::TicketTransferred { .. } => What::Transferred,
            H::TicketHeld { .. } => What::Held,
            H::ServiceStarted { .. } => What::Started,
            H::ServiceEnded { ended_by: EndedBy::Transfer | EndedBy::Held, .. } => What::Interrupted,
            H::ServiceEnded { ended_by, .. } => {
                What::Ended { ok: !matches!(ended_by, EndedBy::DayEnd | EndedBy::WindowClosed) }
            }
            H::RatingGiven { grade, .. } => What::Graded { g: grade.value() },
            H::RatingTimedOut { .. } => What::NotRated,
            H::CaseClosed { ended_by, .. } => What::Closed { next: *ended_by == EndedBy::NextCall },
            _ => return None,
        };
        let window = event.window.as_ref().map(ToString::to_string).unwrap_or_default();
        Some(Self(event.at.0, event.seq, what, window))
    }

    fn quarter(&self, zone: &TimeZone) -> Quarter {
        // What the day's end closes at midnight belongs to the day that ends.
        let of_day_before = matches!(self.2, What::Closed { .. } | What::Ended { ok: false });
        Quarter::of(UtcMillis(self.0).plus(-i64::from(of_day_before)), zone)
    }
}

/// The steps of a case, in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Visit(Vec<Step>);

impl Visit {
    /// Puts a step where it belongs.
    pub(super) fn add(&mut self, step: Step) {
        let at = self.0.partition_point(|known| *known < step);
        self.0.insert(at, step);
    }

    /// What the ticket was taken for, as the earliest step says that says anything.
    fn business(&self) -> &str {
        let named = self.0.iter().find_map(|step| match &step.2 {
            What::Issued { b } | What::Opened { b } | What::Called { b } if !b.is_empty() => Some(b.as_str()),
            _ => None,
        });
        named.unwrap_or_default()
    }

    /// The sums of this case.
    pub(super) fn loads(&self, zone: &TimeZone) -> Loads {
        let business = self.business();
        let mut loads = Loads::default();
        let mut count = |step: &Step, part: fn(&mut Load) -> &mut i64, by: i64| {
            // A ticket is taken before there is a window.
            let window = if matches!(step.2, What::Issued { .. }) { "" } else { step.3.as_str() };
            *part(loads.at(step.quarter(zone), business, window)) += by;
        };
        for step in &self.0 {
            match &step.2 {
                What::Called { .. } => count(step, |load| &mut load.calls, 1),
                What::Recalled => count(step, |load| &mut load.recalls, 1),
                What::NoShow => count(step, |load| &mut load.no_shows, 1),
                What::Transferred => count(step, |load| &mut load.transfers, 1),
                What::Held => count(step, |load| &mut load.holds, 1),
                What::NotRated => count(step, |load| &mut load.defaults, 1),
                What::Graded { g } => {
                    count(step, |load| grade_of(load, 1), i64::from(*g == 1));
                    count(step, |load| grade_of(load, 2), i64::from(*g == 2));
                    count(step, |load| grade_of(load, 3), i64::from(*g == 3));
                    count(step, |load| grade_of(load, 4), i64::from(*g == 4));
                    count(step, |load| grade_of(load, 5), i64::from(*g == 5));
                    count(step, |load| &mut load.bad_cases, i64::from(*g <= 2));
                }
                _ => {}
            }
        }
        let first = |is: fn(&What) -> bool| self.0.iter().find(|step| is(&step.2));
        let issued = first(|what| matches!(what, What::Issued { .. }));
        if let Some(issued) = issued {
            count(issued, |load| &mut load.arrivals, 1);
        }
        let served = first(|what| matches!(what, What::Started | What::Interrupted | What::Ended { .. }));
        let is_call = |what: &What| matches!(what, What::Called { .. } | What::Recalled);
        let call = self.0.iter().rfind(|step| is_call(&step.2) && served.is_none_or(|served| *step < served));
        if let Some(closed) = first(|what| matches!(what, What::Closed { .. }))
            && served.is_none()
        {
            let no_show = first(|what| *what == What::NoShow).is_some();
            if first(|what| matches!(what, What::Called { .. })).is_none() {
                count(closed, |load| &mut load.unserved, 1);
            } else if !no_show && closed.2 == (What::Closed { next: true }) {
                count(closed, |load| &mut load.skipped, 1);
            }
        }
        if let (Some(issued), Some(call)) = (issued, call)
            && let Some(millis) = duration(issued.0, call.0)
        {
            loads.at(call.quarter(zone), business, &call.3).wait(millis);
        }
        if let (Some(call), Some(start @ Step(_, _, What::Started, _))) = (call, served)
            && let Some(millis) = duration(call.0, start.0)
        {
            let load = loads.at(start.quarter(zone), business, &start.3);
            load.reaches += 1;
            load.reach_ms += millis;
        }
        self.services(zone, business, &mut loads);
        loads.without_zeros()
    }

    /// The time in which the case was served, at each window, and the whole of it where the service ended.
    fn services(&self, zone: &TimeZone, business: &str, loads: &mut Loads) {
        // None once a stretch is no duration.
        let (mut total, mut any) = (Some(0), false);
        let mut started: Option<&Step> = None;
        for step in &self.0 {
            match &step.2 {
                What::Started => started = started.or(Some(step)),
                What::Interrupted | What::Ended { .. } => {
                    let Some(start) = started.take() else { continue };
                    for (quarter, millis) in split(UtcMillis(start.0), UtcMillis(step.0), zone) {
                        loads.at(quarter, business, &start.3).busy_ms += millis;
                    }
                    total = total.zip(duration(start.0, step.0)).map(|(so_far, millis)| so_far + millis);
                    any = true;
                }
                _ => {}
            }
        }
        let end = self.0.iter().rfind(|step| matches!(step.2, What::Ended { .. }));
        let Some(end) = end else { return };
        let load = loads.at(end.quarter(zone), business, &end.3);
        load.served += 1;
        if let (true, Some(total), What::Ended { ok: true }) = (any, total, &end.2) {
            load.services += 1;
            load.service_ms += total;
            load.service_sq_s += (total / 1000) * (total / 1000);
        }
    }
}

fn grade_of(load: &mut Load, grade: u8) -> &mut i64 {
    match grade {
        1 => &mut load.grade_1,
        2 => &mut load.grade_2,
        3 => &mut load.grade_3,
        4 => &mut load.grade_4,
        _ => &mut load.grade_5,
    }
}

/// Whether an event counts by itself: a press nobody asked for, a grade that belongs to no case.
pub(super) fn counts_alone(event: &Event) -> bool {
    match event.happening {
        Happening::RatingUnsolicited { .. } => true,
        Happening::RatingGiven { .. } => event.case.is_none(),
        _ => false,
    }
}

/// The sums of an event that counts by itself; of any other, none.
pub(super) fn of_itself(event: &Event, zone: &TimeZone) -> Loads {
    let mut loads = Loads::default();
    if !counts_alone(event) {
        return loads;
    }
    let window = event.window.as_ref().map(ToString::to_string).unwrap_or_default();
    let quarter = Quarter::of(event.at, zone);
    match &event.happening {
        Happening::RatingUnsolicited { .. } => loads.at(quarter, "", &window).unsolicited += 1,
        Happening::RatingGiven { grade, .. } => {
            *grade_of(loads.at(quarter, "", &window), grade.value()) += 1;
        }
        _ => {}
    }
    loads
}
