use super::*;
use control_protocol::event::EndedBy;

/// Serials from a counter.
pub(super) struct Counting(pub(super) u32);

impl CaseSerials for Counting {
    fn next(&mut self, _: Date) -> Result<u32, SerialError> {
        self.0 += 1;
        Ok(self.0)
    }
}

pub(super) fn config() -> SessionConfig {
    let window = |number: u16, businesses: &[&str]| SessionWindow {
        id: format!("450103-01-W{number:02}").parse().unwrap(),
        number,
        businesses: businesses.iter().map(|b| (*b).to_owned()).collect(),
        rating_seconds: 10,
    };
    let business = |name: &str, prefix: &str, priority| SessionBusiness {
        name: name.into(),
        prefix: prefix.into(),
        priority,
    };
    SessionConfig {
        hall: "450103-01".parse().unwrap(),
        time_zone: TimeZone::get("Asia/Shanghai").unwrap(),
        day_ends_hour: 0,
        linger_us: 3_000_000,
        windows: vec![window(1, &["社保"]), window(2, &["医保", "社保"]), window(3, &["绿色"])],
        businesses: vec![business("社保", "A", 0), business("医保", "B", 0), business("绿色", "A", 2)],
    }
}

/// 2026-11-23T09:00 in Shanghai plus `seconds`.
pub(super) fn at(seconds: f64) -> At {
    let start: UtcMillis = "2026-11-23T01:00:00Z".parse().unwrap();
    let utc = start.plus((seconds * 1000.0) as i64);
    At { utc, mono_us: utc.0 * 1000 }
}

struct Hall {
    session: HallSession,
    serials: Counting,
    log: Vec<Tagged>,
}

impl Hall {
    fn new() -> Self {
        Self { session: HallSession::new(config()), serials: Counting(0), log: Vec::new() }
    }

    fn take(&mut self, seconds: f64, input: Input) -> (Vec<String>, Option<Ignored>) {
        let taken = self.session.take(&input, Some("d"), at(seconds), &mut self.serials).unwrap();
        let kinds = taken.events.iter().map(|e| e.happening.kind().to_owned()).collect();
        self.log.extend(taken.events);
        (kinds, taken.ignored)
    }

    fn ticket(&mut self, seconds: f64, number: &str, business: &str) {
        let (kinds, _) = self.take(
            seconds,
            Input::Ticket { number: number.into(), business: business.into(), waiting: Some(1) },
        );
        assert!(kinds.ends_with(&["case.opened".into(), "ticket.issued".into()]), "{kinds:?}");
    }

    fn press(&mut self, seconds: f64, window: u16, press: Press) -> Vec<String> {
        let window = format!("450103-01-W{window:02}").parse().unwrap();
        self.take(seconds, Input::Window { window, press }).0
    }

    fn tick(&mut self, seconds: f64) -> Vec<String> {
        let events = self.session.tick(at(seconds));
        let kinds = events.iter().map(|e| e.happening.kind().to_owned()).collect();
        self.log.extend(events);
        kinds
    }

    fn serial(&self, n_from_end: usize) -> Option<u32> {
        self.log[self.log.len() - 1 - n_from_end].case.map(|c| c.serial())
    }

    fn called(&self) -> &str {
        let called = self.log.iter().rev().find_map(|e| match &e.happening {
            Happening::TicketCalled { ticket, .. } => Some(ticket.as_str()),
            _ => None,
        });
        called.unwrap()
    }
}

fn grade(value: u8) -> Press {
    Press::Grade { raw: value - 1, grade: Grade::new(value) }
}

#[test]
fn a_case_from_ticket_to_grade() {
    let mut h = Hall::new();
    assert_eq!(h.press(0.0, 1, Press::SignIn("1001".into())), ["clerk.signed_in", "window.opened"]);
    h.ticket(1.0, "A001", "社保");
    assert_eq!(h.session.waiting(&config().windows[0].id), 1);
    assert_eq!(h.press(2.0, 1, Press::CallNext), ["ticket.called"]);
    assert_eq!(h.press(3.0, 1, Press::Recall), ["ticket.recalled"]);
    assert_eq!(h.press(4.0, 1, Press::Start), ["service.started"]);
    assert_eq!(h.press(50.0, 1, Press::Evaluate), ["service.ended", "rating.invited"]);
    assert_eq!(h.press(52.0, 1, grade(5)), ["rating.given"]);
    assert_eq!(h.press(53.0, 1, grade(1)), ["rating.unsolicited"]);
    assert_eq!(h.tick(54.9), Vec::<String>::new());
    assert_eq!(h.tick(60.0), ["case.closed"]);
    let closed = h.log.last().unwrap();
    assert_eq!(closed.at, at(55.0));
    assert!(matches!(
        closed.happening,
        Happening::CaseClosed { ended_by: EndedBy::Rated, grade: Some(g), accurate: true, .. } if g.value() == 5
    ));
    assert!(h.log.iter().filter(|e| e.happening.is_service_event()).all(|e| e.case.is_some()));
    assert_eq!(h.session.due(), Some(h.session.day_end(at(60.0)).mono_us));
}

#[test]
fn a_call_while_serving_closes_the_case_without_a_grade() {
    let mut h = Hall::new();
    h.ticket(0.0, "A001", "社保");
    h.ticket(1.0, "A002", "社保");
    h.press(2.0, 1, Press::CallNext);
    h.press(3.0, 1, Press::Start);
    assert_eq!(h.press(9.0, 1, Press::CallNext), ["service.ended", "case.closed", "ticket.called"]);
    assert!(matches!(
        h.log[h.log.len() - 2].happening,
        Happening::CaseClosed { ended_by: EndedBy::NextCall, grade: None, .. }
    ));
    let (kinds, ignored) =
        h.take(10.0, Input::Window { window: "450103-01-W01".parse().unwrap(), press: Press::CallNext });
    assert!(kinds.is_empty());
    assert_eq!(ignored, Some(Ignored::NothingToCall));
}

#[test]
fn the_queue_rule() {
    let mut h = Hall::new();
    h.ticket(0.0, "A001", "社保");
    h.ticket(1.0, "B001", "医保");
    h.ticket(2.0, "A002", "社保");
    h.press(3.0, 2, Press::CallNext);
    assert_eq!(h.called(), "A001");
    h.press(4.0, 1, Press::CallNext);
    assert_eq!(h.called(), "A002");
    h.press(5.0, 1, Press::Transfer(2));
    h.press(6.0, 2, Press::CallNext);
    assert_eq!(h.called(), "A002");
    assert_eq!(h.serial(0), Some(3), "transfer keeps the case");
    h.press(7.0, 2, Press::CallNext);
    assert_eq!(h.called(), "B001");
    let (_, ignored) =
        h.take(8.0, Input::Window { window: "450103-01-W02".parse().unwrap(), press: Press::Transfer(9) });
    assert_eq!(ignored, Some(Ignored::NoSuchWindow));
}

#[test]
fn typed_digits_call_that_ticket_or_open_a_case() {
    let mut h = Hall::new();
    h.ticket(0.0, "A001", "社保");
    h.ticket(1.0, "A002", "社保");
    h.ticket(1.5, "B002", "医保");
    h.press(2.0, 1, Press::CallNumber("002".into()));
    assert_eq!(h.called(), "A002");
    assert_eq!(h.press(3.0, 1, Press::CallNumber("2".into())), ["ticket.recalled"]);
    assert_eq!(h.press(4.0, 2, Press::CallNumber("1".into())), ["window.opened", "ticket.called"]);
    assert_eq!(h.called(), "A001");
    assert_eq!(
        h.press(5.0, 3, Press::CallNumber("077".into())),
        ["window.opened", "case.opened", "ticket.called"]
    );
    assert_eq!(h.called(), "077");
}

#[test]
fn hold_call_back_and_no_show() {
    let mut h = Hall::new();
    h.ticket(0.0, "A001", "社保");
    h.ticket(1.0, "A002", "社保");
    h.press(2.0, 1, Press::CallNext);
    h.press(3.0, 1, Press::Start);
    assert_eq!(h.press(4.0, 1, Press::Hold), ["service.ended", "ticket.held"]);
    h.press(5.0, 1, Press::CallNext);
    assert_eq!(h.press(6.0, 1, Press::NoShow), ["ticket.no_show", "case.closed"]);
    assert_eq!(h.press(7.0, 1, Press::CallBack), ["ticket.resumed"]);
    assert_eq!(h.serial(0), Some(1));
    assert_eq!(h.press(8.0, 1, Press::Evaluate), ["service.ended", "rating.invited"]);
    assert_eq!(h.press(19.0, 1, grade(1)), ["rating.timed_out", "case.closed", "rating.unsolicited"]);
    assert_eq!(h.serial(0), None, "a press outside has no case");
}

#[test]
fn a_late_grade_goes_to_the_case_of_its_time() {
    let mut h = Hall::new();
    h.ticket(0.0, "A001", "社保");
    h.ticket(0.5, "A002", "社保");
    h.press(1.0, 1, Press::CallNext);
    h.press(2.0, 1, Press::Evaluate);
    h.press(14.0, 1, Press::CallNext);
    assert_eq!(h.called(), "A002");
    assert_eq!(h.press(5.0, 1, grade(4)), ["rating.given"]);
    assert_eq!(h.serial(0), Some(1));
    assert_eq!(h.log.last().unwrap().at, at(5.0));
    assert_eq!(h.press(6.0, 1, grade(4)), ["rating.unsolicited"], "one grade a case");
    assert_eq!(
        h.press(20.0, 1, Press::Evaluate),
        ["service.ended", "rating.invited"],
        "the present is unharmed"
    );
}

#[test]
fn the_day_ends_with_everything_closed_and_marked() {
    let mut h = Hall::new();
    h.press(0.0, 1, Press::SignIn("1001".into()));
    h.ticket(1.0, "A001", "社保");
    h.ticket(2.0, "A002", "社保");
    h.press(3.0, 1, Press::CallNext);
    h.press(4.0, 1, Press::Start);
    let kinds = h.tick(24.0 * 3600.0);
    assert_eq!(kinds, ["service.ended", "case.closed", "case.closed", "clerk.signed_out", "window.closed"]);
    let midnight: UtcMillis = "2026-11-23T16:00:00Z".parse().unwrap();
    assert!(h.log[h.log.len() - 5..].iter().all(|e| e.at.utc == midnight));
    assert!(h.log.iter().all(|e| !matches!(e.happening, Happening::CaseClosed { accurate: true, .. })));
    assert_eq!(h.session.due(), None);
    h.ticket(26.0 * 3600.0, "A001", "社保");
    assert_eq!(h.session.open(), 1);
}

#[test]
fn tickets_of_ours_are_numbered_by_their_letters_and_anew_each_day() {
    let mut h = Hall::new();
    let issue = |h: &mut Hall, seconds: f64, business: &str| {
        let (kinds, ignored) = h.take(seconds, Input::Issue { business: business.into() });
        assert!(
            ignored.is_none() && kinds.ends_with(&["case.opened".into(), "ticket.issued".into()]),
            "{kinds:?}"
        );
        let Happening::TicketIssued { ticket, printed_waiting, priority, .. } =
            &h.log.last().unwrap().happening
        else {
            panic!()
        };
        (ticket.clone(), printed_waiting.unwrap(), *priority)
    };
    assert_eq!(issue(&mut h, 0.0, "社保"), ("A001".into(), 0, 0));
    assert_eq!(issue(&mut h, 1.0, "医保"), ("B001".into(), 0, 0));
    // The same letters for another business: one row of numbers, and each its own people waiting.
    assert_eq!(issue(&mut h, 2.0, "绿色"), ("A002".into(), 0, 2));
    assert_eq!(issue(&mut h, 3.0, "社保"), ("A003".into(), 1, 0));
    h.press(4.0, 1, Press::CallNext);
    h.press(5.0, 1, Press::NoShow);
    // A closed case keeps its number; a number that was only typed is passed over and raises nothing.
    h.press(6.0, 1, Press::CallNumber("900".into()));
    assert_eq!(issue(&mut h, 7.0, "社保"), ("A004".into(), 1, 0));
    let (kinds, ignored) = h.take(8.0, Input::Issue { business: "公积金".into() });
    assert_eq!((kinds.len(), ignored), (0, Some(Ignored::UnknownBusiness)));

    // After a restart it goes on where it was; the next day it begins anew.
    h.session = HallSession::recover(config(), &h.log);
    assert_eq!(issue(&mut h, 9.0, "社保").0, "A005");
    assert_eq!(issue(&mut h, 24.0 * 3600.0, "社保").0, "A001");
}
