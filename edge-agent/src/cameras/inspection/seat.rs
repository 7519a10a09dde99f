//! Whether somebody sits there: a model of the empty seat, what differs from it, and the hysteresis over both. Pure.
//!
//! Movement decides nothing by itself: who sits still is not gone. The model comes from a technician, or from a picture in
//! which nothing has moved for minutes, which no living person gives. It learns on slowly only while the seat is surely
//! empty. What cannot be told is `unknown`, and is never counted as empty (docs/design/picture-health.md).

use std::time::Duration;

use device_drivers::clock::Mono;
use picture::{
    chair::{Chair, Region},
    sketch::Sketch,
};

use super::signs::DARK_LUMA;
use crate::config::inspection::Limits;

/// The region stands still while no more of it moves: one cell in a hundred.
const STILL_SHARE: f32 = 0.01;
/// So many looks at the least make a stillness.
const STILL_LOOKS: u32 = 12;
/// What stands still on a known seat is an object and not a person; after this many times the learning time it belongs to
/// the seat.
const LEFT_BEHIND_TIMES: u32 = 3;
/// Most of the surroundings differ: light or view are not those of the model.
const AROUND_SHARE: f32 = 0.5;
/// How much of each look goes into the model while the seat is surely empty.
const LEARN_RATE: f32 = 1.0 / 64.0;
/// The seat is surely empty after so long.
const SURE: Duration = Duration::from_secs(60);
/// Neither empty nor occupied for so long on an empty seat: it is not known.
const UNSURE: Duration = Duration::from_secs(30);
/// Looks that make a seat occupied, empty and unknown.
const LOOKS: (u32, u32, u32) = (2, 3, 2);

/// Why nothing can be said of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The agent has just begun to look.
    Starting,
    /// The camera gives no picture.
    NoPicture,
    /// Too dark.
    Dark,
    /// The picture has one of the faults.
    Fault(super::Fault),
    /// How the seat looks when it is empty is not known yet.
    NotLearnt,
    /// Light or surroundings are not those that were learnt.
    OtherLight,
    /// Something has stood there for long without any movement.
    LeftBehind,
    /// Partly covered for long.
    Unsure,
}

impl Why {
    /// Its code, as events have it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::NoPicture => "no_picture",
            Self::Dark => "dark",
            Self::Fault(fault) => fault.code(),
            Self::NotLearnt => "not_learnt",
            Self::OtherLight => "other_light",
            Self::LeftBehind => "left_behind",
            Self::Unsure => "unsure",
        }
    }
}

/// What is known of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seat {
    /// Somebody sits there.
    Occupied,
    /// Nobody does.
    Empty,
    /// It cannot be said.
    Unknown(Why),
}

impl Seat {
    /// `occupied`, `empty` or `unknown`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Occupied => "occupied",
            Self::Empty => "empty",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Why it is unknown.
    pub fn why(self) -> Option<&'static str> {
        match self {
            Self::Unknown(why) => Some(why.code()),
            _ => None,
        }
    }
}

/// What one look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Says(Seat),
    /// Between empty and occupied.
    Between,
}

/// The model that is kept over a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The empty seat.
    pub chair: Chair,
    /// A technician said so: what stands still later is never taken for it.
    pub pinned: bool,
}

struct Candidate {
    seat: Seat,
    since: Mono,
    looks: u32,
}

struct Still {
    first: Sketch,
    since: Mono,
    looks: u32,
}

/// Watches one seat.
pub struct SeatWatch {
    region: Region,
    model: Option<Model>,
    state: Seat,
    since: Mono,
    candidate: Option<Candidate>,
    between: Option<Mono>,
    still: Option<Still>,
}

impl SeatWatch {
    /// A watch that begins at `at`, with the model kept from before.
    pub fn new(region: Region, model: Option<Model>, at: Mono) -> Self {
        Self {
            region,
            model,
            state: Seat::Unknown(Why::Starting),
            since: at,
            candidate: None,
            between: None,
            still: None,
        }
    }

    /// What is said of the seat now.
    pub fn state(&self) -> Seat {
        self.state
    }

    /// The model, to be kept.
    pub fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// A technician says that the seat is empty in this picture.
    pub fn reference(&mut self, sketch: &Sketch) {
        self.model = Some(Model { chair: Chair::of(sketch), pinned: true });
        self.still = None;
    }

    /// There is no picture. Gives the new state where it changes.
    pub fn lost(&mut self, at: Mono) -> Option<Seat> {
        self.still = None;
        self.candidate = None;
        self.between = None;
        self.set(Seat::Unknown(Why::NoPicture), at)
    }

    /// Takes a look; `hindered` says why the picture cannot be trusted. Gives the new state where it changes.
    pub fn look(
        &mut self,
        sketch: &Sketch,
        hindered: Option<Why>,
        at: Mono,
        limits: &Limits,
    ) -> Option<Seat> {
        let hindered = hindered.or((sketch.brightness() < DARK_LUMA).then_some(Why::Dark));
        let reading = match hindered {
            Some(why) => {
                self.still = None;
                Reading::Says(Seat::Unknown(why))
            }
            None => self.read(sketch, at, limits),
        };
        self.weigh(reading, at, limits)
    }

    fn read(&mut self, sketch: &Sketch, at: Mono, limits: &Limits) -> Reading {
        let learn = limits.seat_learn();
        let still_for = self.still_for(sketch, at);
        let long_still = still_for.is_some_and(|still| still >= learn);
        let Some(model) = &mut self.model else {
            if !long_still {
                return Reading::Says(Seat::Unknown(Why::NotLearnt));
            }
            self.model = Some(Model { chair: Chair::of(sketch), pinned: false });
            return Reading::Says(Seat::Empty);
        };
        let difference = model.chair.difference(&self.region, sketch);
        let other_light = difference.around > AROUND_SHARE || !Chair::light_is_plausible(&difference);
        let empty = !other_light && difference.within <= limits.seat_empty_share;
        if empty {
            let sure = self.state == Seat::Empty && at.since(self.since) >= SURE;
            if sure && still_for.is_some() {
                model.chair.learn(sketch, LEARN_RATE);
            }
            return Reading::Says(Seat::Empty);
        }
        if long_still {
            let belongs = still_for.is_some_and(|still| still >= learn * LEFT_BEHIND_TIMES);
            if belongs && !model.pinned {
                model.chair = Chair::of(sketch);
                return Reading::Says(Seat::Empty);
            }
            return Reading::Says(Seat::Unknown(if other_light { Why::OtherLight } else { Why::LeftBehind }));
        }
        if other_light {
            Reading::Says(Seat::Unknown(Why::OtherLight))
        } else if difference.within >= limits.seat_occupied_share {
            Reading::Says(Seat::Occupied)
        } else {
            Reading::Between
        }
    }

    /// For how long nothing has moved in the region; none if something moved just now or too few looks say so.
    fn still_for(&mut self, sketch: &Sketch, at: Mono) -> Option<Duration> {
        match &mut self.still {
            // Compared with the first picture of the stillness: what moves slowly moves as well.
            Some(still) if self.region.moved(sketch, &still.first) <= STILL_SHARE => {
                still.looks += 1;
                (still.looks >= STILL_LOOKS).then(|| at.since(still.since))
            }
            still => {
                *still = Some(Still { first: sketch.clone(), since: at, looks: 1 });
                None
            }
        }
    }

    fn weigh(&mut self, reading: Reading, at: Mono, limits: &Limits) -> Option<Seat> {
        let says = match reading {
            Reading::Says(says) => {
                self.between = None;
                says
            }
            Reading::Between => {
                self.candidate = None;
                let since = *self.between.get_or_insert(at);
                let unsure = self.state == Seat::Empty && at.since(since) >= UNSURE;
                return if unsure { self.set(Seat::Unknown(Why::Unsure), at) } else { None };
            }
        };
        if says == self.state {
            self.candidate = None;
            return None;
        }
        let candidate = match self.candidate.take() {
            Some(before) if before.seat == says => Candidate { looks: before.looks + 1, ..before },
            _ => Candidate { seat: says, since: at, looks: 1 },
        };
        let (least, wait) = match says {
            Seat::Occupied => (LOOKS.0, limits.seat_occupied_seconds),
            Seat::Empty => (LOOKS.1, limits.seat_empty_seconds),
            Seat::Unknown(_) => (LOOKS.2, 0),
        };
        if candidate.looks < least || at.since(candidate.since) < Duration::from_secs(wait) {
            self.candidate = Some(candidate);
            return None;
        }
        self.set(says, at)
    }

    fn set(&mut self, seat: Seat, at: Mono) -> Option<Seat> {
        if seat == self.state {
            return None;
        }
        self.state = seat;
        self.since = at;
        self.candidate = None;
        self.between = None;
        Some(seat)
    }
}
