//! A region of a camera's view, the model of how it looks with nobody there, and what differs from it. Pure.

use crate::sketch::{CELLS, COLUMNS, ROWS, Sketch, share};

/// A cell differs from the empty chair's when its luma is off by so many levels after the light is accounted for.
const LUMA_STEP: f32 = 14.0;
/// Or its colour by so many: colour follows the light less than brightness does.
const COLOUR_STEP: f32 = 7.0;
/// Or its detail by so much, in quarters of a level: a person of the background's own grey still has edges.
const DETAIL_STEP: f32 = 40.0;
/// Between two sketches a cell stands still when its luma moved by no more: a breathing person moves the edges of their
/// clothes by more than this, sensor noise averages out over a cell.
const STILL_STEP: i16 = 4;
/// Light of a room changes within these, as a factor on luma; beyond them the picture is another one.
const LIGHT: std::ops::RangeInclusive<f32> = 0.5..=2.0;

/// Cells of the grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region(Vec<bool>);

impl Region {
    /// The cells whose middle lies within a polygon; its corners in shares of width and height, from the upper left.
    /// None with fewer than three corners or no cell.
    pub fn polygon(corners: &[(f32, f32)]) -> Option<Self> {
        if corners.len() < 3 {
            return None;
        }
        let within = |x: f32, y: f32| {
            let before = corners.iter().cycle().skip(corners.len() - 1);
            corners.iter().zip(before).fold(false, |inside, (a, b)| {
                let crosses = (a.1 > y) != (b.1 > y) && x < (b.0 - a.0) * (y - a.1) / (b.1 - a.1) + a.0;
                inside != crosses
            })
        };
        let middle = |at: usize, of: usize| (at as f32 + 0.5) / of as f32;
        let cells: Vec<bool> = (0..CELLS)
            .map(|cell| within(middle(cell % COLUMNS, COLUMNS), middle(cell / COLUMNS, ROWS)))
            .collect();
        cells.contains(&true).then_some(Self(cells))
    }

    /// How many cells it has.
    pub fn cells(&self) -> usize {
        self.0.iter().filter(|within| **within).count()
    }

    /// The share of its cells that moved between two sketches; a change of the room's light moves none.
    pub fn moved(&self, now: &Sketch, before: &Sketch) -> f32 {
        let step = |(now, before): (&u8, &u8)| i16::from(*now) - i16::from(*before);
        let mut steps: Vec<i16> = now.luma.iter().zip(&before.luma).map(step).collect();
        let half = steps.len() / 2;
        let light = if steps.is_empty() { 0 } else { *steps.select_nth_unstable(half).1 };
        let cells: Vec<bool> = self
            .0
            .iter()
            .zip(now.luma.iter().zip(&before.luma))
            .filter(|(within, _)| **within)
            .map(|(_, cell)| (step(cell) - light).abs() > STILL_STEP)
            .collect();
        share(cells.into_iter())
    }
}

/// How the region and what is around it look with nobody there.
#[derive(Debug, Clone, PartialEq)]
pub struct Chair {
    /// Mean luma, blue and red difference and detail of each cell.
    pub cells: Vec<[f32; 4]>,
}

/// What differs from the empty chair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The share of the region's cells that differ.
    pub within: f32,
    /// The share of all other cells that differ: where most of them do, light or view changed and nothing is known.
    pub around: f32,
    /// How much brighter the surroundings are than the model's, as a factor.
    pub light: f32,
}

fn cell(sketch: &Sketch, at: usize) -> Option<[f32; 4]> {
    let get = |grid: &[u8]| grid.get(at).map(|value| f32::from(*value));
    Some([get(&sketch.luma)?, get(&sketch.blue)?, get(&sketch.red)?, get(&sketch.detail)?])
}

fn middle(mut values: Vec<f32>) -> Option<f32> {
    let at = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(at, f32::total_cmp).1)
}

impl Chair {
    /// The model that one picture of the empty chair gives.
    pub fn of(sketch: &Sketch) -> Self {
        Self { cells: (0..CELLS).filter_map(|at| cell(sketch, at)).collect() }
    }

    /// What differs now.
    pub fn difference(&self, region: &Region, sketch: &Sketch) -> Difference {
        let all = self.cells.iter().zip(&region.0).enumerate();
        let all: Vec<(bool, [f32; 4], [f32; 4])> =
            all.filter_map(|(at, (model, within))| Some((*within, *model, cell(sketch, at)?))).collect();
        let around = || all.iter().filter(|(within, ..)| !within);
        // Cells near black or white say nothing of the light.
        let telling =
            around().filter(|(_, model, now)| model[0] > 24.0 && model[0] < 225.0 && now[0] < 230.0);
        let light = middle(telling.map(|(_, model, now)| now[0] / model[0]).collect()).unwrap_or(1.0);
        let tint =
            |n: usize| middle(around().map(|(_, model, now)| now[n] - model[n]).collect()).unwrap_or(0.0);
        let tints = [tint(1), tint(2)];
        let differs = |(_, model, now): &(bool, [f32; 4], [f32; 4])| {
            (now[0] - model[0] * light).abs() > LUMA_STEP
                || (now[1] - model[1] - tints[0]).abs() > COLOUR_STEP
                || (now[2] - model[2] - tints[1]).abs() > COLOUR_STEP
                || (now[3] - model[3] * light.min(1.0)).abs() > DETAIL_STEP
        };
        let part = |wanted: bool| {
            let cells: Vec<bool> = all.iter().filter(|cell| cell.0 == wanted).map(differs).collect();
            share(cells.into_iter())
        };
        Difference { within: part(true), around: part(false), light }
    }

    /// Whether the light of a difference is one that a room's lamps and windows give.
    pub fn light_is_plausible(difference: &Difference) -> bool {
        LIGHT.contains(&difference.light)
    }

    /// Takes a share `rate` (0 to 1) of a picture with nobody there into the model.
    pub fn learn(&mut self, sketch: &Sketch, rate: f32) {
        for (at, model) in self.cells.iter_mut().enumerate() {
            if let Some(now) = cell(sketch, at) {
                model.iter_mut().zip(now).for_each(|(model, now)| *model += (now - *model) * rate);
            }
        }
    }
}
