//! What one look at a picture says of each fault. Pure; what lasts is decided by the gates.

use picture::{
    sketch::Sketch,
    view::{Likeness, View},
};

use super::gate::Evidence;
use crate::config::inspection::Limits;

/// A covered lens shows next to nothing: its cells differ from each other by less than this, in levels.
const UNIFORM_CONTRAST: f32 = 6.0;
/// And next to no cell has anything drawn in it.
const UNIFORM_FLAT: f32 = 0.97;
/// Nothing is to be seen of people in a picture darker than this, though it may not be black.
pub(super) const DARK_LUMA: f32 = 45.0;
/// Covered: so many of the cells that usually have edges have none,
const BLOCKED_LOST: f32 = 0.6;
/// with this share of the usual detail left,
const BLOCKED_DETAIL: f32 = 0.45;
/// and the layout is another one, by correlation,
const BLOCKED_LAYOUT: f32 = 0.6;
/// or so little of the usual contrast is left.
const BLOCKED_CONTRAST: f32 = 0.3;
/// Moved a little: the edges fit elsewhere at least this well,
const SHIFT_FITS: f32 = 0.5;
/// and better than in their place by this.
const SHIFT_BETTER: f32 = 0.2;
/// The same picture twice: a living sensor's noise changes more of the single pixels than this (7 of 14,400).
const FROZEN_CHANGED: f32 = 0.0005;
/// The best place is looked for when the edges fit worse than this.
const LOOK_AROUND: f32 = 0.6;

/// The faults, in the order of [`Fault::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing but black.
    Black,
    /// The picture is the same again and again, though the stream goes on.
    Frozen,
    /// Something covers the lens.
    Blocked,
    /// The picture is blurred.
    OutOfFocus,
    /// The camera looks elsewhere.
    Moved,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 5] = [Self::Black, Self::Frozen, Self::Blocked, Self::OutOfFocus, Self::Moved];

    /// Its code, as events have it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::Frozen => "frozen",
            Self::Blocked => "blocked",
            Self::OutOfFocus => "out_of_focus",
            Self::Moved => "moved",
        }
    }

    /// The fault of a code.
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.code() == code)
    }
}

/// What a look says of each fault.
pub(super) struct Signs(pub(super) [Evidence; 5]);

impl Signs {
    /// `view` is the usual one, where it is known well enough.
    pub(super) fn of(sketch: &Sketch, before: Option<&Sketch>, view: Option<&View>, limits: &Limits) -> Self {
        let half_as_bright_again = limits.black_luma.saturating_add(limits.black_luma / 2);
        let black = sketch.brightness() < f32::from(limits.black_luma)
            && sketch.share_above(half_as_bright_again) < 0.02;
        if black {
            // In the dark nothing can be told of the rest.
            use Evidence::{Absent, Present, Unknown};
            return Self([Present, Unknown, Unknown, Unknown, if view.is_some() { Unknown } else { Absent }]);
        }
        let uniform = sketch.contrast() < UNIFORM_CONTRAST && sketch.flat() >= UNIFORM_FLAT;
        let likeness =
            view.filter(|view| view.size == sketch.size).map(|view| view.compare(sketch, LOOK_AROUND));
        let (blocked, out_of_focus, moved) = match &likeness {
            Some(like) => judge(like, uniform, limits),
            // What is usual is not known yet: only what cannot be right in any view.
            None => (Evidence::from(uniform), Evidence::Unknown, Evidence::Unknown),
        };
        let covered = blocked == Evidence::Present;
        let frozen = match before {
            Some(before) if !covered => Evidence::from(sketch.changed(before) < FROZEN_CHANGED),
            _ => Evidence::Unknown,
        };
        Self([Evidence::Absent, frozen, blocked, out_of_focus, moved])
    }
}

fn judge(like: &Likeness, uniform: bool, limits: &Limits) -> (Evidence, Evidence, Evidence) {
    let other = like.layout < BLOCKED_LAYOUT || like.contrast < BLOCKED_CONTRAST;
    if uniform || (like.lost >= BLOCKED_LOST && like.detail < BLOCKED_DETAIL && other) {
        return (Evidence::Present, Evidence::Unknown, Evidence::Unknown);
    }
    // A dimmer light takes detail and contrast alike.
    let blurred = like.detail / like.contrast.clamp(0.2, 1.0) < limits.focus_share;
    if blurred && !other {
        return (Evidence::Absent, Evidence::Present, Evidence::Unknown);
    }
    let elsewhere = like.best.edges >= SHIFT_FITS && like.edges <= like.best.edges - SHIFT_BETTER;
    let moved = like.edges < limits.moved_likeness || elsewhere;
    (Evidence::Absent, Evidence::from(blurred), Evidence::from(moved))
}
