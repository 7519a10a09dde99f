//! One camera's looks put together: its usual view, a gate for each fault, its seat. Pure: pictures and times come in,
//! findings go out.

use std::time::Duration;

use data_encoding::BASE64;
use device_drivers::clock::Mono;
use picture::{
    chair::{Chair, Region},
    sketch::{CELLS, Sketch},
    view::View,
};
use serde::{Deserialize, Serialize};

use super::{
    gate::{Evidence, Gate},
    seat::{Model, Seat, SeatWatch, Why},
    signs::{Fault, Signs},
};
use crate::config::inspection::Limits;

/// So many looks make a usual view.
const LEARNT: u32 = 8;
/// How much of each look goes into the usual view from then on: at a look every 4 s the view follows within half an hour.
const VIEW_RATE: f32 = 1.0 / 256.0;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// A fault began or ended.
    Fault {
        /// Which.
        fault: Fault,
        /// It stands now.
        standing: bool,
        /// Since when pictures have shown it so.
        since: Mono,
    },
    /// The seat changed.
    Seat(Seat),
}

/// What is kept over a restart of the agent, so that a camera turned meanwhile is not taken for the usual view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    size: (u32, u32),
    looks: u32,
    /// Luma and detail of the usual view, a byte for each cell, Base64.
    view: Vec<String>,
    /// Luma, blue, red and detail of the empty seat.
    chair: Vec<String>,
    pinned: bool,
    /// Faults that were told and not yet ended.
    standing: Vec<String>,
    /// The seat as it was last told.
    seat: Option<String>,
}

fn grid(values: impl Iterator<Item = f32>) -> String {
    BASE64.encode(&values.map(|value| value.round().clamp(0.0, 255.0) as u8).collect::<Vec<_>>())
}

fn read_grid(text: &str) -> Option<Vec<f32>> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    (bytes.len() == CELLS).then(|| bytes.into_iter().map(f32::from).collect())
}

impl Kept {
    fn view(&self) -> Option<View> {
        let [luma, detail] = self.view.as_slice() else { return None };
        Some(View { size: self.size, luma: read_grid(luma)?, detail: read_grid(detail)? })
    }

    fn model(&self) -> Option<Model> {
        let grids: Vec<Vec<f32>> = self.chair.iter().map(|text| read_grid(text)).collect::<Option<_>>()?;
        let [luma, blue, red, detail] = grids.as_slice() else { return None };
        let cells = luma.iter().zip(blue).zip(red.iter().zip(detail));
        let cells = cells.map(|((luma, blue), (red, detail))| [*luma, *blue, *red, *detail]).collect();
        Some(Model { chair: Chair { cells }, pinned: self.pinned })
    }
}

/// Looks at one camera.
pub struct Inspector {
    limits: Limits,
    view: Option<View>,
    looks: u32,
    gates: [Gate; 5],
    before: Option<Sketch>,
    seat: Option<SeatWatch>,
    /// The next picture is right: what was learnt before does not count; true: and the seat is empty in it.
    reference: Option<bool>,
}

impl Inspector {
    /// Begins at `at` with what was kept; `at_window`: the camera looks at a window, so that there is a seat unless the
    /// limits say otherwise. Gives what must be told at once.
    pub fn new(limits: Limits, at_window: bool, kept: &Kept, at: Mono) -> (Self, Vec<Finding>) {
        let watched = limits.seat.unwrap_or(at_window);
        let region = Region::polygon(&limits.corners()).filter(|_| watched);
        let seat = region.map(|region| SeatWatch::new(region, kept.model(), at));
        let told = kept.seat.as_deref().is_some_and(|seat| seat != "unknown");
        let findings = if told { vec![Finding::Seat(Seat::Unknown(Why::Starting))] } else { Vec::new() };
        let stood = |fault: Fault| kept.standing.iter().any(|code| code == fault.code());
        let view = kept.view();
        let looks = if view.is_some() { kept.looks } else { 0 };
        let gates = Fault::ALL.map(|fault| Gate::restored(stood(fault)));
        (Self { limits, view, looks, gates, before: None, seat, reference: None }, findings)
    }

    /// Takes the next picture as right: the view it shows is the usual one, and with `seat_empty` nobody sits there.
    pub fn reference(&mut self, seat_empty: bool) {
        self.reference = Some(seat_empty);
    }

    /// Takes a look at the picture of the time `at`.
    pub fn look(&mut self, sketch: Sketch, at: Mono) -> Vec<Finding> {
        if let Some(seat_empty) = self.reference.take() {
            self.view = Some(View::of(&sketch));
            self.looks = LEARNT;
            if let Some(seat) = self.seat.as_mut().filter(|_| seat_empty) {
                seat.reference(&sketch);
            }
        }
        if self.view.as_ref().is_some_and(|view| view.size != sketch.size) {
            // The camera sends another size: its cells are not comparable.
            self.view = None;
            self.looks = 0;
            self.before = None;
        }
        let known = self.view.as_ref().filter(|_| self.looks >= LEARNT);
        let signs = Signs::of(&sketch, self.before.as_ref(), known, &self.limits);
        let mut findings = Vec::new();
        let mut hindered = None;
        for ((fault, gate), evidence) in Fault::ALL.into_iter().zip(&mut self.gates).zip(signs.0) {
            let (evidence, raise) = match (fault, self.limits.frozen_seconds) {
                (Fault::Frozen, 0) => (Evidence::Absent, 0),
                (Fault::Frozen, seconds) => (evidence, seconds),
                (Fault::Black, _) => (evidence, self.limits.black_seconds),
                (Fault::Blocked, _) => (evidence, self.limits.blocked_seconds),
                (Fault::OutOfFocus, _) => (evidence, self.limits.focus_seconds),
                (Fault::Moved, _) => (evidence, self.limits.moved_seconds),
            };
            let clear = Duration::from_secs(self.limits.clear_seconds);
            if let Some(turned) = gate.take(evidence, at, Duration::from_secs(raise), clear) {
                findings.push(Finding::Fault { fault, standing: turned.standing, since: turned.since });
            }
            if gate.standing() || evidence == Evidence::Present {
                hindered = hindered.or(Some(Why::Fault(fault)));
            }
        }
        if let Some(seat) = &mut self.seat {
            findings.extend(seat.look(&sketch, hindered, at, &self.limits).map(Finding::Seat));
        }
        if hindered.is_none() {
            self.learn(&sketch);
        }
        self.before = Some(sketch);
        findings
    }

    fn learn(&mut self, sketch: &Sketch) {
        match &mut self.view {
            Some(view) => {
                let first = 1.0 / (self.looks as f32 + 1.0);
                view.learn(sketch, if self.looks < LEARNT { first } else { VIEW_RATE });
            }
            view => *view = Some(View::of(sketch)),
        }
        self.looks = self.looks.saturating_add(1);
    }

    /// There is no picture.
    pub fn lost(&mut self, at: Mono) -> Vec<Finding> {
        self.gates.iter_mut().for_each(Gate::interrupt);
        self.before = None;
        self.seat.as_mut().and_then(|seat| seat.lost(at)).map(Finding::Seat).into_iter().collect()
    }

    /// The faults that stand.
    pub fn standing(&self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().zip(&self.gates).filter(|(_, gate)| gate.standing()).map(|(fault, _)| fault)
    }

    /// The seat, where one is watched.
    pub fn seat(&self) -> Option<Seat> {
        self.seat.as_ref().map(SeatWatch::state)
    }

    /// What is to be kept now.
    pub fn kept(&self) -> Kept {
        let view = self.view.as_ref();
        let grids = |view: &View| vec![grid(view.luma.iter().copied()), grid(view.detail.iter().copied())];
        let model = self.seat.as_ref().and_then(SeatWatch::model);
        let chair = model.map(|model| {
            (0..4).map(|n| grid(model.chair.cells.iter().filter_map(|cell| cell.get(n).copied()))).collect()
        });
        Kept {
            size: view.map(|view| view.size).unwrap_or_default(),
            looks: self.looks.min(LEARNT),
            view: view.map(grids).unwrap_or_default(),
            chair: chair.unwrap_or_default(),
            pinned: model.is_some_and(|model| model.pinned),
            standing: self.standing().map(|fault| fault.code().to_owned()).collect(),
            seat: self.seat().map(|seat| seat.code().to_owned()),
        }
    }
}
