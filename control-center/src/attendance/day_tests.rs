//! Written days and what each comes to. A line gives the shift, the date, the punches, what was approved, and how far things are
//! known; and the stated result: the day's state, its marks, its halves and the figures that are not nought.
//!
//! Marks: `+` on time, `L5` five minutes late, `E5` early, `c` corrected, `x` excused, `.` not due yet, `o` due and open, `?` not
//! synced, `-` missing, `~` unclear. Halves: `P` present, `A` absent, `l` leave, `t` trip, `o` open.

use control_protocol::UtcMillis;
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use proptest::prelude::*;

use super::*;
use crate::attendance::{
    calendar::{self, Calendar, NATIONAL},
    roster::{Assignment, Pattern, Planned, planned},
    shift::{OtherDays, Period, Rules, Shift, Span},
    terminal_clock::{Measured, hall_time},
};

fn zone() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

fn time(text: &str) -> DayTime {
    text.parse().unwrap()
}

/// `from due until`, in and out alternately.
fn spans(marks: &[&str]) -> Vec<Span> {
    let mark = |text: &str| {
        let mut parts = text.split(' ').map(time);
        let mut next = || parts.next().unwrap();
        Mark { from: next(), due: next(), until: next() }
    };
    marks.chunks(2).map(|pair| Span { start: mark(pair[0]), end: mark(pair[1]) }).collect()
}

const TWO: [&str; 2] = ["07:00 09:00 12:00", "12:00 17:00 23:00"];
/// As halls write it: 8:20–9:00, 12:00–12:15, 12:20–13:00, 17:00–18:00, with room for the late and the early.
const FOUR: [&str; 4] = ["08:20 09:00 11:00", "11:00 12:00 12:15", "12:20 13:00 15:00", "15:00 17:00 18:00"];
const NIGHT: [&str; 2] = ["20:00 22:00 26:00", "28:00 30:00 33:00"];

fn period(from: &str, name: &str, marks: &[&str], rules: Rules) -> Period {
    Period {
        from: from.parse().unwrap(),
        name: name.into(),
        spans: spans(marks),
        other_days: Vec::new(),
        rules,
    }
}

fn shift(name: &str) -> Shift {
    let usual = Rules::default();
    let always = |marks: &[&str], rules| vec![period("2000-01-01", "常年", marks, rules)];
    let periods = match name {
        "two" => always(&TWO, usual),
        "four" => always(&FOUR, usual),
        "night" => always(&NIGHT, usual),
        // Grace of ten minutes at either end; absence from two hours on; a missing punch is half a day.
        "strict" => always(
            &TWO,
            Rules {
                grace_late_s: 600,
                grace_early_s: 600,
                half_absent_min: Some(30),
                absent_min: Some(120),
                missing: MissingMeans::HalfAbsent,
                overtime_from_min: Some(30),
            },
        ),
        // Summer from the first of May, winter from the eighth of October; Fridays end at four.
        "seasons" => {
            let friday = |end: &str| {
                let marks = ["07:00 09:00 12:00", end];
                vec![OtherDays { weekdays: vec![5], spans: spans(&marks) }]
            };
            let summer = period("2026-05-01", "夏令作息", &["07:00 08:30 12:00", "12:00 17:30 23:00"], usual);
            let winter = period("2026-10-08", "冬令作息", &TWO, usual);
            vec![summer, Period { other_days: friday("12:00 16:00 23:00"), ..winter }]
        }
        other => panic!("{other}"),
    };
    let shift = Shift { name: name.into(), periods };
    shift.check().unwrap();
    shift
}

/// The pattern by which somebody works: a shift on workdays, or `a,b,-` over and over from 2026-11-23 on.
fn pattern(text: &str) -> Pattern {
    if !text.contains(',') {
        return Pattern::Workdays { shift: text.into() };
    }
    let days = text.split(',').map(|day| (day != "-").then(|| day.to_owned())).collect();
    Pattern::Cycle { begins: "2026-11-23".parse().unwrap(), days, holidays_off: false }
}

/// A moment of the date, `y…` of the day before.
fn at(date: Date, text: &str) -> UtcMillis {
    match text.strip_prefix('y') {
        Some(text) => UtcMillis(moment(date.yesterday().unwrap(), time(text), &zone())),
        None => UtcMillis(moment(date, time(text), &zone())),
    }
}

/// `09:00`, with `/255` for a state other than 0, `@A02` for another terminal, `h` behind for one that was heard when it was made
/// at the hour that stands behind it.
fn punches(date: Date, text: &str, clock: &[Measured]) -> Vec<Timed> {
    let read = |word: &str| {
        let (word, terminal) = word.split_once('@').unwrap_or((word, "A01"));
        let (word, heard) =
            word.split_once('h').map_or((word, None), |(word, heard)| (word, Some(at(date, heard))));
        let (stamped, state) = word.split_once('/').unwrap_or((word, "0"));
        let stamped = at(date, stamped);
        let time = hall_time(stamped, heard, clock);
        Timed { terminal: terminal.into(), stamped, time, state: state.parse().unwrap() }
    };
    text.split_whitespace().map(read).collect()
}

/// `1=sick` (the afternoon), `01=trip`, `p2` (the third mark is given).
fn approved(text: &str) -> Approved {
    let mut approved = Approved::default();
    for word in text.split_whitespace() {
        if let Some(mark) = word.strip_prefix('p') {
            approved.punches.push((mark.parse().unwrap(), "r".into()));
            continue;
        }
        let (halves, what) = word.split_once('=').unwrap();
        let excuse = match what {
            "trip" => Excuse::Trip,
            "sick" => Excuse::Leave(LeaveKind::Sick),
            "annual" => Excuse::Leave(LeaveKind::Annual),
            other => panic!("{other}"),
        };
        for half in halves.bytes() {
            approved.halves[usize::from(half - b'0')] = Some((excuse, "r".into()));
        }
    }
    approved
}

/// `seven until 08:00; right from 08:30`: minutes ahead, from when until when it was measured so.
fn clock(date: Date, text: &str) -> Vec<Measured> {
    let read = |run: &str| {
        let mut words = run.split_whitespace();
        let mut next = || words.next().unwrap();
        let minutes: i64 = next().parse().unwrap();
        Measured { seconds: minutes * 60, from: at(date, next()), until: at(date, next()) }
    };
    text.split(';').filter(|run| !run.trim().is_empty()).map(read).collect()
}

/// The whole way: calendar, roster, timetable, punches, judgement.
fn result(case: &Case) -> String {
    let date: Date = case.date.parse().unwrap();
    let guangxi = case.place == "450000";
    let layers: &[&str] = if guangxi { &[NATIONAL, "450000"] } else { &[NATIONAL] };
    let years = calendar::shipped().into_iter().chain([calendar::tests::guangxi_2017()]);
    let calendar = Calendar::new(years, layers);
    let assignment = [Assignment { from: "2000-01-01".parse().unwrap(), pattern: pattern(case.works) }];
    let mut found = Vec::new();
    for offset in -1..=1 {
        let on = date.checked_add(offset.days()).unwrap();
        let kind = match calendar.on(on) {
            Ok(day) => day.kind,
            Err(unknown) => return format!("refused {}", unknown.year()),
        };
        let given = if offset == 0 { approved(case.approved) } else { Approved::default() };
        found.push(match planned(on, kind, &assignment, &[], None) {
            Planned::Shift(id) => {
                shift(&id).on(on).map(|timetable| Asked::new(on, timetable, given, &zone()))
            }
            _ => None,
        });
    }
    if found[1].is_none() {
        let kind = calendar.on(date).unwrap().kind;
        let shift = matches!(planned(date, kind, &assignment, &[], None), Planned::Shift(_));
        return if shift { "no timetable" } else { "rest" }.into();
    }
    let known =
        Known { now: at(date, case.now), synced: (case.synced != "never").then(|| at(date, case.synced)) };
    let punches = punches(date, case.punches, &clock(date, case.clock));
    let day = days(&found, &punches, known).remove(1).unwrap();
    written(&day)
}

fn written(day: &Day) -> String {
    let state = serde_json::to_value(day.state).unwrap();
    let marks: Vec<String> = day
        .marks
        .iter()
        .map(|mark| match mark.state {
            MarkState::OnTime => "+".into(),
            MarkState::Late => format!("L{}", mark.minutes),
            MarkState::Early => format!("E{}", mark.minutes),
            MarkState::Corrected => "c".into(),
            MarkState::Excused => "x".into(),
            MarkState::Upcoming => ".".into(),
            MarkState::Open => "o".into(),
            MarkState::Unsynced => "?".into(),
            MarkState::Missing => "-".into(),
            MarkState::Unclear => "~".into(),
        })
        .collect();
    let halves: String = day
        .halves
        .iter()
        .map(|half| match half {
            Half::Rest => 'r',
            Half::Open => 'o',
            Half::Present => 'P',
            Half::Leave(_) => 'l',
            Half::Trip => 't',
            Half::Absent => 'A',
        })
        .collect();
    let f = &day.figures;
    let mut text = format!("{} {} {halves}", state.as_str().unwrap(), marks.join(" "));
    let figures = [
        ("late", f.late_min),
        ("early", f.early_min),
        ("missing", f.missing),
        ("given", f.corrected),
        ("overtime", f.overtime_min),
    ];
    for (name, value) in figures.iter().filter(|(_, value)| *value > 0) {
        text.push_str(&format!(" {name}={value}"));
    }
    text
}

#[derive(Clone, Copy)]
struct Case {
    what: &'static str,
    works: &'static str,
    place: &'static str,
    date: &'static str,
    punches: &'static str,
    approved: &'static str,
    clock: &'static str,
    now: &'static str,
    synced: &'static str,
}

/// A Tuesday, long over, every terminal read.
const DAY: Case = Case {
    what: "",
    works: "two",
    place: NATIONAL,
    date: "2026-11-24",
    punches: "",
    approved: "",
    clock: "",
    now: "47:00",
    synced: "47:00",
};

#[rustfmt::skip] // a table: a case is a line or two
fn cases() -> Vec<(Case, &'static str)> {
    let two = |what, punches| Case { what, punches, ..DAY };
    let four = |what, punches| Case { works: "four", ..two(what, punches) };
    let strict = |what, punches| Case { works: "strict", ..two(what, punches) };
    let night = |what, punches| Case { works: "night", ..two(what, punches) };
    let on = |date, case| Case { date, ..case };
    let given = |approved, case| Case { approved, ..case };
    let seen = |now, synced, case| Case { now, synced, ..case };
    let clock = |clock, case| Case { clock, ..case };
    let works = |works, case| Case { works, ..case };
    let guangxi = |date, case| Case { place: "450000", date, ..case };
    vec![
        // Two punches.
        (two("in and out", "08:50 17:05"), "normal + + PP"),
        (two("to the second", "09:00 17:00"), "normal + + PP"),
        (two("the minute that is due counts", "09:00:59 17:00"), "normal + + PP"),
        (two("the next does not", "09:01 17:00"), "late L1 + PP late=1"),
        (two("five minutes late", "09:05:30 17:00"), "late L5 + PP late=5"),
        (two("just under half an hour late", "09:29:59 17:00"), "late L29 + PP late=29"),
        (two("half an hour late is half a day", "09:30 17:00"), "half_absent L30 + AP"),
        (two("left a second early", "08:50 16:59:59"), "early + E1 PP early=1"),
        (two("left twenty minutes early", "08:50 16:40"), "early + E20 PP early=20"),
        (two("left an hour early", "08:50 16:00"), "half_absent + E60 PA"),
        (two("late and early", "09:10 16:50"), "late L10 E10 PP late=10 early=10"),
        (two("came and never left", "08:50"), "missing + - PP missing=1"),
        (two("left and never came", "17:02"), "missing - + PP missing=1"),
        (two("nothing at all", ""), "absent - - AA"),
        (two("before the band begins", "06:59 17:00"), "missing - + PP missing=1"),
        (two("after the band ends", "08:50 23:01"), "missing + - PP missing=1"),
        (two("noon is nearer to the morning: in, at last", "12:00 17:00"), "half_absent L180 + AP"),
        // Duplicates.
        (two("the finger pressed twice", "08:50 08:50:01 17:00 17:00:02"), "normal + + PP"),
        (two("within the minute it is one", "08:59:40 09:00:30 17:00"), "normal + + PP"),
        (two("at two terminals", "08:50 08:50:20@A02 17:01"), "normal + + PP"),
        (two("who comes twice came first", "08:40 09:20 17:00"), "normal + + PP"),
        (two("who leaves twice left last", "08:50 15:00 17:10"), "normal + + PP"),
        (two("out of order as the logs were read", "17:00 08:50"), "normal + + PP"),
        // What the terminal says of in and out.
        (two("not said", "08:50/255 17:00/255"), "normal + + PP"),
        (two("the wrong way round", "08:50/1 17:00/0"), "normal + + PP"),
        (two("all of them in", "08:50/0 17:00/0"), "normal + + PP"),
        (four("not said, four times", "08:50/255 12:05/255 12:40/255 17:01/255"), "normal + + + + PP"),
        (two("overtime keys", "08:50/4 17:00/5"), "normal + + PP"),
        // Four punches.
        (four("as it should be", "08:50 12:05 12:40 17:01"), "normal + + + + PP"),
        (four("late after noon", "08:50 12:05 13:07 17:01"), "late + + L7 + PP late=7"),
        (four("half an hour late after noon", "08:50 12:05 13:30 17:01"), "half_absent + + L30 + PA"),
        (four("early at noon", "08:50 11:45 12:40 17:01"), "early + E15 + + PP early=15"),
        (four("no punch at noon", "08:50 17:01"), "missing + - - + PP missing=2"),
        (four("forenoon only", "08:50 12:05"), "half_absent + + - - PA"),
        (four("afternoon only", "12:40 17:01"), "half_absent - - + + AP"),
        (four("nothing at all", ""), "absent - - - - AA"),
        (four("one of four missing", "08:50 12:05 12:40"), "missing + + + - PP missing=1"),
        (four("between the bands counts for neither", "08:50 12:17 12:40 17:01"), "missing + - + + PP missing=1"),
        // Stricter rules.
        (strict("ten minutes are given", "09:10 16:50"), "normal + + PP"),
        (strict("eleven are not", "09:11 17:00"), "late L11 + PP late=11"),
        (strict("two hours late is the day", "11:00 17:00"), "absent L120 + AA"),
        (strict("a missing punch is half a day", "08:50"), "half_absent + - PA"),
        (strict("beyond hours", "08:50 17:45"), "normal + + PP overtime=45"),
        (strict("not long enough beyond hours", "08:50 17:29"), "normal + + PP"),
        // Night.
        (night("over midnight", "21:50 30:05"), "normal + + PP"),
        (night("late after midnight", "24:20 30:05"), "half_absent L140 + AP"),
        (night("left before six", "21:50 29:50"), "early + E10 PP early=10"),
        (night("yesterday's end is not today's beginning", "06:03 21:50 30:00"), "normal + + PP"),
        (night("came home and did not come again", "y21:50 06:03"), "absent - - AA"),
        (works("night,two,-", on("2026-11-23", DAY)), "absent - - AA"),
        (works("night,two,-", on("2026-11-24", two("off the night and on the day", "y21:50 06:10 08:55 17:00"))), "normal + + PP"),
        (works("night,two,-", on("2026-11-24", two("the end of the night is not the day's beginning", "y21:50 07:20 17:00"))), "missing - + PP missing=1"),
        (works("night,two,-", on("2026-11-24", two("midway between both: the terminal says in", "y21:50 07:30/0 17:00"))), "normal + + PP"),
        (works("night,two,-", on("2026-11-24", two("midway between both: the terminal says out", "y21:50 07:30/1 17:00"))), "missing - + PP missing=1"),
        (works("night,two,-", on("2026-11-25", two("rest of the rotation", "08:55"))), "rest"),
        // Switch dates.
        (works("seasons", on("2026-09-30", two("the last day of summer's hours", "08:40 17:30"))), "late L10 + PP late=10"),
        (works("seasons", on("2026-10-08", two("the first day of winter's", "08:40 17:00"))), "normal + + PP"),
        (works("seasons", on("2026-09-30", two("winter's end is early in summer", "08:20 17:00"))), "half_absent + E30 PA"),
        (works("seasons", on("2026-10-09", two("Fridays end at four", "08:50 16:00"))), "normal + + PP"),
        (works("seasons", on("2026-04-30", two("before any timetable", "08:50 17:00"))), "no timetable"),
        // Holidays and make-up days.
        (on("2026-10-10", two("a Saturday made up for National Day", "08:55 17:00")), "normal + + PP"),
        (on("2026-10-10", two("nobody came on the make-up day", "")), "absent - - AA"),
        (on("2026-10-01", two("National Day", "")), "rest"),
        (on("2026-11-28", two("a Saturday", "")), "rest"),
        (on("2026-02-16", two("a Monday of the Spring Festival", "")), "rest"),
        (on("2027-11-24", two("a year that nobody gave", "08:55 17:00")), "refused 2027"),
        (guangxi("2017-03-30", two("三月三 in Guangxi", "")), "rest"),
        (on("2017-03-30", two("三月三 elsewhere", "")), "absent - - AA"),
        (guangxi("2017-04-01", two("the country's make-up Saturday is off in Guangxi", "")), "rest"),
        (on("2017-04-01", two("and worked elsewhere", "08:55 17:00")), "normal + + PP"),
        (guangxi("2017-04-08", two("Guangxi makes it up a week later", "08:55 17:00")), "normal + + PP"),
        (on("2017-04-08", two("which elsewhere is a Saturday", "")), "rest"),
        // How far things are known.
        (seen("47:00", "never", two("no terminal was ever read", "")), "unsynced ? ? oo"),
        (seen("47:00", "16:00", two("one was last read at four", "")), "missing - ? oo missing=1"),
        (seen("47:00", "16:00", two("came, and the evening is not read", "08:50")), "unsynced + ? oo"),
        (seen("47:00", "22:59:59", two("a second before the band ends", "")), "missing - ? oo missing=1"),
        (seen("47:00", "23:00", two("read to the shift's end", "")), "absent - - AA"),
        (seen("47:00", "16:00", two("late enough for half a day, and not all is read", "09:40 17:00")), "late L40 + oP late=40"),
        (seen("47:00", "16:00", four("no forenoon, and the evening is not read", "12:40")), "missing - - + ? oo missing=2"),
        (seen("08:30", "08:30", two("before it is due", "")), "upcoming . . oo"),
        (seen("09:00:30", "09:00:30", two("the minute is not over", "")), "upcoming . . oo"),
        (seen("09:20", "09:20", two("due and not there", "")), "not_in o . oo"),
        (seen("09:20", "08:55", two("due, and not read so far", "")), "unsynced ? . oo"),
        (seen("14:00", "14:00", two("did not come by noon", "")), "not_in - . oo missing=1"),
        (seen("10:00", "10:00", two("at work", "08:50")), "working + . oo"),
        (seen("10:00", "10:00", two("at work, came late", "09:07")), "late L7 . oo late=7"),
        (seen("17:30", "17:30", two("still there after the end", "08:50")), "working + o oo"),
        (seen("17:30", "17:30", two("left; the day is done though its bands are open", "08:50 17:10")), "normal + + PP"),
        (seen("12:30", "12:30", four("between two stretches", "08:50 12:05")), "working + + . . Po"),
        // The terminal's clock.
        (clock("7 00:00 23:59", two("seven minutes ahead all day", "09:05 17:08")), "normal + + PP"),
        (clock("-7 00:00 23:59", two("seven minutes behind all day", "08:55 16:54")), "late L2 + PP late=2"),
        (clock("7 00:00 08:30; 0 08:35 23:59", two("set right before work", "08:58 17:00")), "normal + + PP"),
        (clock("0 00:00 08:30; 60 09:30 23:59", two("jumped an hour: only one of its times is possible", "09:50 18:05")), "normal + + PP"),
        (clock("0 00:00 08:30; 20 09:30 23:59", two("jumped ahead, nobody knows when", "09:10 17:25")), "unclear ~ + oo"),
        (clock("0 00:00 08:30; 20 09:30 23:59", two("jumped, and heard when it was made", "09:10h08:50 17:25")), "normal + + PP"),
        (clock("0 00:00 12:00; -60 12:01 23:59", two("set back an hour at noon", "08:50 16:05")), "normal + + PP"),
        (clock("20 12:00 23:59", two("found wrong at noon, before that not known", "08:55 17:25")), "normal + + PP"),
        (clock("20 12:00 23:59", two("found wrong at noon, and late by its own time", "09:15 17:25")), "unclear ~ + oo"),
        // What was approved.
        (given("p1", two("the evening's punch is given", "08:50")), "normal + c PP given=1"),
        (given("p0 p1", two("both are given", "")), "normal c c PP given=2"),
        (given("p0", two("given, and punched in time all the same", "08:50 17:00")), "normal + + PP"),
        (given("p0", two("given, though late", "09:50 17:00")), "normal c + PP given=1"),
        (given("01=sick", two("ill", "")), "leave x x ll"),
        (given("01=trip", two("away on duty", "")), "trip x x tt"),
        (given("0=annual", two("the forenoon off, there by one", "12:55 17:00")), "normal + + lP"),
        (given("0=annual", two("the forenoon off, late after noon", "13:10 17:00")), "late L10 + lP late=10"),
        (given("1=sick", two("home at noon", "08:50 13:02")), "normal + + Pl"),
        (given("1=sick", two("ill after noon, and not there before", "")), "half_absent - - Al"),
        (given("0=trip", four("a trip before noon", "12:50 17:00")), "normal x x + + tP"),
        (given("1=sick", four("ill after noon", "08:50 12:01")), "normal + + x x Pl"),
        (given("1=sick", four("ill after noon, and not there before", "")), "half_absent - - x x Al"),
        (given("01=sick", Case { now: "08:00", synced: "never", ..two("leave needs no terminal", "") }), "leave x x ll"),
    ]
}

#[test]
fn each_written_day_comes_to_what_is_stated() {
    let cases = cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(case, stated)| {
            let found = result(case);
            (found != *stated).then(|| {
                format!("{} {} [{}]: stated `{stated}`, found `{found}`", case.works, case.date, case.what)
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn asked(works: &str, date: Date) -> Vec<Option<Asked>> {
    let shift = shift(works);
    (-1..=1)
        .map(|offset| date.checked_add(offset.days()).unwrap())
        .map(|on| shift.on(on).map(|timetable| Asked::new(on, timetable, Approved::default(), &zone())))
        .collect()
}

fn timed(date: Date, seconds: i64, state: u8, terminal: u8) -> Timed {
    let stamped = UtcMillis(moment(date, time("00:00"), &zone()) + seconds * 1000);
    let time = hall_time(stamped, None, &[]);
    Timed { terminal: format!("A{terminal:02}"), stamped, time, state }
}

const WORKS: [&str; 4] = ["two", "four", "night", "strict"];

proptest! {
    #[test]
    fn nobody_is_absent_before_every_terminal_is_read_past_the_shift(
        works in 0usize..4, now in 0i64..180_000, synced in 0i64..180_000,
        seconds in proptest::collection::vec(0i64..150_000, 0..6),
    ) {
        let date: Date = "2026-11-24".parse().unwrap();
        let asked = asked(WORKS[works], date);
        let midnight = moment(date, time("00:00"), &zone());
        let punches: Vec<_> = seconds.iter().map(|s| timed(date, *s, 255, 1)).collect();
        let known = Known { now: UtcMillis(midnight + now * 1000), synced: Some(UtcMillis(midnight + synced * 1000)) };
        let day = days(&asked, &punches, known).remove(1).unwrap();
        let ends = asked[1].as_ref().unwrap().ends();
        if known.synced.unwrap().0 < ends || known.now.0 < ends {
            prop_assert!(!matches!(day.state, DayState::Absent | DayState::HalfAbsent), "{:?}", day);
            prop_assert_eq!(day.figures.absent_halves, 0);
        }
        prop_assert!(day.figures.worked_halves + day.figures.absent_halves <= 2);
    }

    #[test]
    fn order_repetition_and_states_change_nothing(
        works in 0usize..4,
        seconds in proptest::collection::vec((0i64..150_000, any::<u8>()), 0..8),
        again in proptest::collection::vec(0usize..8, 0..4), turn in 0usize..8,
    ) {
        let date: Date = "2026-11-24".parse().unwrap();
        let asked = asked(WORKS[works], date);
        let known = Known { now: at(date, "47:00"), synced: Some(at(date, "47:00")) };
        let of = |punches: &[Timed]| days(&asked, punches, known).remove(1).unwrap();
        let once: Vec<_> = seconds.iter().map(|(s, _)| timed(date, *s, 255, 1)).collect();
        let mut twice: Vec<_> = once.clone();
        if !once.is_empty() {
            twice.extend(again.iter().map(|n| once[n % once.len()].clone()));
            let turn = turn % twice.len();
            twice.rotate_left(turn);
        }
        prop_assert_eq!(of(&once), of(&twice));
        // Bands of one day do not overlap, so that what the terminal says of in and out decides nothing there.
        if WORKS[works] != "night" {
            let said: Vec<_> = seconds.iter().map(|(s, state)| timed(date, *s, *state, 1)).collect();
            prop_assert_eq!(of(&once).figures, of(&said).figures);
        }
    }

    #[test]
    fn one_more_punch_in_time_makes_no_day_worse(
        works in 0usize..4, seconds in proptest::collection::vec(0i64..150_000, 0..6), mark in 0usize..4,
    ) {
        let date: Date = "2026-11-24".parse().unwrap();
        let asked = asked(WORKS[works], date);
        let known = Known { now: at(date, "47:00"), synced: Some(at(date, "47:00")) };
        let mut punches: Vec<_> = seconds.iter().map(|s| timed(date, *s, 255, 1)).collect();
        let before = days(&asked, &punches, known).remove(1).unwrap();
        let marks = &asked[1].as_ref().unwrap().marks;
        let mark = &marks[mark % marks.len()];
        let midnight = moment(date, time("00:00"), &zone());
        punches.push(timed(date, (mark.due - midnight) / 1000, 255, 2));
        let after = days(&asked, &punches, known).remove(1).unwrap();
        // A half day that is worked after all may have been begun late.
        let (after, before) = (after.figures, before.figures);
        prop_assert!((after.absent_halves, after.late) <= (before.absent_halves, before.late), "{:?}, {:?}", before, after);
    }
}

#[test]
fn a_mark_is_due_by_the_clocks_of_the_hall() {
    let due = |zone: &str, date: &str, at: &str| {
        let zone = TimeZone::get(zone).unwrap();
        UtcMillis(moment(date.parse().unwrap(), time(at), &zone)).to_string()
    };
    assert_eq!(due("Asia/Shanghai", "2026-11-24", "09:00"), "2026-11-24T01:00:00.000Z");
    assert_eq!(due("Asia/Urumqi", "2026-11-24", "09:00"), "2026-11-24T03:00:00.000Z");
    // The night in which summer time begins has seven hours, and a day that begins with it is no hour late.
    assert_eq!(due("Europe/Berlin", "2026-03-27", "09:00"), "2026-03-27T08:00:00.000Z");
    assert_eq!(due("Europe/Berlin", "2026-03-29", "09:00"), "2026-03-29T07:00:00.000Z");
    assert_eq!(due("Europe/Berlin", "2026-03-28", "30:00"), "2026-03-29T04:00:00.000Z");
    assert_eq!(due("Europe/Berlin", "2026-10-25", "09:00"), "2026-10-25T08:00:00.000Z");
    // An hour that is not there is the moment after; of one that is there twice it is the first.
    assert_eq!(due("Europe/Berlin", "2026-03-29", "02:30"), "2026-03-29T01:30:00.000Z");
    assert_eq!(due("Europe/Berlin", "2026-10-25", "02:30"), "2026-10-25T00:30:00.000Z");
}
