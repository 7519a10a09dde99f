//! The seat's hysteresis by properties over drawn sketches, and an inspector over a restart.

use picture::{
    chair::{Chair, Region},
    sketch::{Plane, Planes, Sketch},
};
use proptest::prelude::*;

use super::{
    inspector::{Finding, Inspector, Kept},
    seat::{Model, Seat, SeatWatch, Why},
    *,
};
use crate::config::inspection::Limits;

/// What a drawn picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    Empty,
    /// Somebody, at one of a few places: who sits moves a little.
    Somebody(u8),
    /// A bag: it does not move.
    Part,
    Dark,
}

fn sketch(show: Show) -> Sketch {
    let (width, height) = (320usize, 180usize);
    let luma: Vec<u8> = (0..width * height)
        .map(|at| {
            let (x, y) = (at % width, at / width);
            let room = 90 + (x / 7 + y / 5) as u8 % 4 * 25;
            let covers = |from: usize, to: usize| (from..to).contains(&x) && y > 40;
            match show {
                Show::Dark => room / 6,
                Show::Somebody(place)
                    if covers(110 + usize::from(place % 4) * 6, 200 + usize::from(place % 4) * 6) =>
                {
                    30
                }
                Show::Part if covers(140, 170) => 30,
                _ => room,
            }
        })
        .collect();
    let colour = vec![128; width * height / 4];
    let plane = |samples, stride| Plane { samples, stride };
    Sketch::of(&Planes {
        width,
        height,
        luma: plane(&luma, width),
        blue: plane(&colour, width / 2),
        red: plane(&colour, width / 2),
    })
    .unwrap()
}

fn region() -> Region {
    Region::polygon(&Limits::default().corners()).unwrap()
}

fn known(pinned: bool) -> Option<Model> {
    Some(Model { chair: Chair::of(&sketch(Show::Empty)), pinned })
}

fn show() -> impl Strategy<Value = Option<Show>> {
    prop_oneof![
        4 => Just(Some(Show::Empty)),
        4 => (0u8..4).prop_map(|place| Some(Show::Somebody(place))),
        2 => Just(Some(Show::Part)),
        1 => Just(Some(Show::Dark)),
        1 => Just(None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Empty is said only after three looks in a row have shown it, over ten seconds; it is never said of a dark or lost
    /// picture; who has been seen is not taken for gone by anything else; changes are told once.
    #[test]
    fn empty_is_said_only_of_what_was_seen_to_be_empty(looks in proptest::collection::vec((show(), 1usize..6), 1..40), pinned: bool) {
        let limits = Limits::default();
        let shown: Vec<(Option<Show>, Sketch)> = [Show::Empty, Show::Part, Show::Dark]
            .into_iter().chain((0..4).map(Show::Somebody)).map(|show| (Some(show), sketch(show))).collect();
        let mut seat = SeatWatch::new(region(), known(pinned), Mono(0));
        let (mut at, mut state, mut empties) = (0u64, Seat::Unknown(Why::Starting), 0usize);
        for (show, times) in looks {
            for _ in 0..times {
                at += 4_000_000;
                let told = match shown.iter().find(|(of, _)| *of == show) {
                    Some((_, sketch)) => seat.look(sketch, None, Mono(at), &limits),
                    None => seat.lost(Mono(at)),
                };
                empties = if show == Some(Show::Empty) { empties + 1 } else { 0 };
                if let Some(told) = told {
                    prop_assert_ne!(told, state);
                    match told {
                        Seat::Empty => prop_assert!(empties >= 3),
                        Seat::Occupied => prop_assert!(matches!(show, Some(Show::Somebody(_)))),
                        Seat::Unknown(Why::NoPicture) => prop_assert!(show.is_none()),
                        Seat::Unknown(Why::Dark) => prop_assert_eq!(show, Some(Show::Dark)),
                        Seat::Unknown(_) => prop_assert_eq!(show, Some(Show::Part)),
                    }
                    state = told;
                }
                prop_assert_eq!(seat.state(), state);
            }
        }
    }

    /// With nothing known of the empty seat, and something moving now and then, nothing is ever said but unknown.
    #[test]
    fn nothing_is_guessed_before_the_empty_seat_is_known(places in proptest::collection::vec(0u8..4, 1..200)) {
        let shown: Vec<Sketch> = (0..4).map(|place| sketch(Show::Somebody(place))).collect();
        let mut seat = SeatWatch::new(region(), None, Mono(0));
        let mut run = 0;
        for (n, place) in places.iter().enumerate() {
            run = if n > 0 && places[n - 1] == *place { run + 1 } else { 0 };
            prop_assume!(run < 100);
            seat.look(&shown[usize::from(*place)], None, Mono(n as u64 * 4_000_000), &Limits::default());
            prop_assert!(matches!(seat.state(), Seat::Unknown(_)));
        }
    }
}

#[test]
fn a_bag_becomes_unknown_and_belongs_to_the_seat_only_where_nobody_said_otherwise() {
    let limits = Limits { seat_occupied_share: 0.15, seat_empty_share: 0.05, ..Limits::default() };
    for pinned in [false, true] {
        let mut seat = SeatWatch::new(region(), known(pinned), Mono(0));
        let mut told = Vec::new();
        for look in 0..1_000u64 {
            let show = if look < 10 { Show::Empty } else { Show::Part };
            told.extend(seat.look(&sketch(show), None, Mono(look * 4_000_000), &limits));
        }
        let mut wanted = vec![Seat::Empty, Seat::Occupied, Seat::Unknown(Why::LeftBehind)];
        if !pinned {
            wanted.push(Seat::Empty);
        }
        assert_eq!(told, wanted, "pinned: {pinned}");
    }
}

#[test]
fn a_faulty_picture_makes_the_seat_unknown() {
    let mut seat = SeatWatch::new(region(), known(true), Mono(0));
    for look in 0..10 {
        seat.look(&sketch(Show::Empty), None, Mono(look * 4_000_000), &Limits::default());
    }
    assert_eq!(seat.state(), Seat::Empty);
    let why = Why::Fault(Fault::Moved);
    for look in 10..12 {
        seat.look(&sketch(Show::Empty), Some(why), Mono(look * 4_000_000), &Limits::default());
    }
    assert_eq!(seat.state(), Seat::Unknown(why));
}

#[test]
fn what_was_told_is_ended_after_a_restart() {
    // Drawn pictures have no noise.
    let limits = Limits { frozen_seconds: 0, ..Limits::default() };
    let (mut inspector, begun) = Inspector::new(limits.clone(), true, &Kept::default(), Mono(0));
    assert!(begun.is_empty());
    inspector.reference(true);
    let mut told = Vec::new();
    for look in 0..20u64 {
        told.extend(
            inspector.look(sketch(if look < 10 { Show::Empty } else { Show::Dark }), Mono(look * 4_000_000)),
        );
    }
    let black = Finding::Fault { fault: Fault::Black, standing: true, since: Mono(40_000_000) };
    assert!(told.contains(&Finding::Seat(Seat::Empty)) && told.contains(&black), "{told:?}");
    let kept: Kept = serde_json::from_str(&serde_json::to_string(&inspector.kept()).unwrap()).unwrap();
    assert_eq!(kept, inspector.kept());
    let (mut again, begun) = Inspector::new(limits, true, &kept, Mono(0));
    assert!(begun.is_empty(), "unknown stays unknown");
    assert_eq!(again.standing().collect::<Vec<_>>(), [Fault::Black]);
    let told: Vec<Finding> =
        (1..20u64).flat_map(|look| again.look(sketch(Show::Empty), Mono(look * 4_000_000))).collect();
    let ended = Finding::Fault { fault: Fault::Black, standing: false, since: Mono(4_000_000) };
    assert_eq!(
        told,
        [Finding::Seat(Seat::Unknown(Why::Fault(Fault::Black))), ended, Finding::Seat(Seat::Empty)]
    );
}
