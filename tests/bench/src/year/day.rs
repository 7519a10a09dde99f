//! A hall's day: windows open, tickets are taken through the morning and the afternoon, called, served, rated or not, and
//! closed; clerks sign in and punch. A pure function of hall, date and seed; the events are in the order they happened.

use control_protocol::{
    CaseId, HallId, Happening as H, UtcMillis, WindowId,
    event::{EndedBy, Grade},
};
use jiff::{civil::Date, tz::TimeZone};

use super::{
    chance::Chance,
    world::{BUSINESSES, Hall},
};

/// Cases of a window and day: 6.6 million of 6,000 windows in 250 days.
const CASES: f64 = 4.4;

/// What happened, before it has a place in a journal.
pub(super) struct Entry {
    pub(super) at: UtcMillis,
    pub(super) window: Option<WindowId>,
    pub(super) device: Option<String>,
    pub(super) case: Option<CaseId>,
    pub(super) happening: H,
}

/// The events of `hall` on `date`, and how many cases they are.
pub(super) fn events(hall: &Hall, date: Date, zone: &TimeZone, seed: u64) -> (Vec<Entry>, u32) {
    let Ok(midnight) = date.to_zoned(zone.clone()) else { return (Vec::new(), 0) };
    let start = midnight.timestamp().as_millisecond();
    let mut chance = Chance::new(seed ^ (start as u64).rotate_left(17) ^ hash(hall.id.as_str()));
    let mut day = Day { hall: &hall.id, start, entries: Vec::new() };
    let mut serial = 0;
    for number in 1..=hall.windows {
        let Ok(window) = format!("{}-W{number:02}", hall.id).parse::<WindowId>() else { continue };
        let clerk = (1000 + number).to_string();
        for (hour, live) in [(8.4, true), (12.05, true), (14.1, true), (17.6, false)] {
            day.punch(&clerk, hour + chance.unit() * 0.3, live);
        }
        let opens = 8.9 + chance.unit() * 0.15;
        day.at(opens, Some(&window), None, H::ClerkSignedIn { clerk: clerk.clone() });
        day.at(opens + 0.002, Some(&window), None, H::WindowOpened {});
        if chance.unit() < 0.4 {
            let pause = 10.2 + chance.unit();
            day.at(pause, Some(&window), None, H::WindowPaused { reason: Some("会议".into()) });
            day.at(pause + 0.1 + chance.unit() * 0.3, Some(&window), None, H::WindowResumed {});
        }
        let business = BUSINESSES[number as usize % BUSINESSES.len()];
        let cases = (CASES * (0.5 + chance.unit())).round() as u32;
        // One after the other within the windows' hours, so that no service runs into the next.
        let mut free = opens + 0.05;
        for _ in 0..cases {
            serial += 1;
            let Ok(case) = CaseId::new(&hall.id, date, serial) else { continue };
            let ticket = format!("{}{:03}", char::from(b'A' + (number % 8) as u8), serial % 1000);
            free = day.case(&mut chance, &window, case, &ticket, business, free);
            if (12.0..14.0).contains(&free) {
                free = 14.2;
            }
        }
        let closes = free.max(17.5) + 0.05;
        day.at(closes, Some(&window), None, H::ClerkSignedOut { clerk });
        day.at(closes + 0.001, Some(&window), None, H::WindowClosed {});
    }
    let mut entries = day.entries;
    entries.sort_by_key(|entry| entry.at);
    (entries, serial)
}

fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

struct Day<'a> {
    hall: &'a HallId,
    start: i64,
    entries: Vec<Entry>,
}

impl Day<'_> {
    fn at(&mut self, hour: f64, window: Option<&WindowId>, case: Option<CaseId>, happening: H) {
        let at = UtcMillis(self.start + (hour * 3_600_000.0) as i64);
        self.entries.push(Entry { at, window: window.cloned(), device: None, case, happening });
    }

    fn punch(&mut self, clerk: &str, hour: f64, live: bool) {
        let at = self.start + (hour * 3600.0) as i64 * 1000;
        let happening = H::PunchRecorded {
            employee: clerk.to_owned(),
            punched_at: UtcMillis(at),
            verify: 1,
            state: 255,
            live,
        };
        let device = Some(format!("{}-attendance", self.hall));
        self.entries.push(Entry { at: UtcMillis(at + 900), window: None, device, case: None, happening });
    }

    /// A case at `window`, which is free at hour `free`; gives when it is free again.
    fn case(
        &mut self,
        chance: &mut Chance,
        window: &WindowId,
        case: CaseId,
        ticket: &str,
        business: &str,
        free: f64,
    ) -> f64 {
        let (ticket, business) = (ticket.to_owned(), business.to_owned());
        let called = free + chance.exponential(0.5);
        let issued = (called - 0.02 - chance.exponential(0.2)).max(8.6);
        let started = called + 0.008 + chance.exponential(0.01);
        let ended = started + 0.02 + chance.exponential(0.2);
        let t = |ticket: &String| ticket.clone();
        let (of, at) = (Some(case), Some(window));
        let opened = H::CaseOpened { ticket: t(&ticket), business: business.clone() };
        self.at(issued, None, of, opened);
        let printed = H::TicketIssued {
            ticket: t(&ticket),
            business: business.clone(),
            printed_waiting: Some(chance.between(0, 9) as u32),
            priority: 0,
        };
        self.at(issued + 0.0001, None, of, printed);
        self.at(called, at, of, H::TicketCalled { ticket: t(&ticket), business, by_number: false });
        if chance.unit() < 0.1 {
            self.at(called + 0.004, at, of, H::TicketRecalled { ticket: t(&ticket), count: 2 });
        }
        if chance.unit() < 0.04 {
            self.at(called + 0.02, at, of, H::TicketNoShow { ticket: t(&ticket) });
            let closed = H::CaseClosed { ticket, ended_by: EndedBy::NoShow, grade: None, accurate: true };
            self.at(called + 0.0201, at, of, closed);
            return called + 0.03;
        }
        self.at(started, at, of, H::ServiceStarted { ticket: t(&ticket) });
        self.at(ended, at, of, H::ServiceEnded { ticket: t(&ticket), ended_by: EndedBy::Evaluate });
        self.at(ended + 0.0001, at, of, H::RatingInvited { ticket: t(&ticket), seconds: 10 });
        let roll = chance.unit();
        let grade = Grade::new(match roll {
            r if r < 0.003 => 1,
            r if r < 0.008 => 2,
            r if r < 0.03 => 3,
            r if r < 0.12 => 4,
            _ => 5,
        });
        let rated = ended + 0.0015;
        let (grade, ended_by) = match grade.filter(|_| roll < 0.72) {
            Some(grade) => {
                self.at(rated, at, of, H::RatingGiven { ticket: t(&ticket), grade, raw: 5 - grade.value() });
                (Some(grade), EndedBy::Rated)
            }
            None => {
                self.at(rated, at, of, H::RatingTimedOut { ticket: t(&ticket) });
                (None, EndedBy::RatingTimedOut)
            }
        };
        self.at(rated + 0.0001, at, of, H::CaseClosed { ticket, ended_by, grade, accurate: true });
        rated + 0.01
    }
}
