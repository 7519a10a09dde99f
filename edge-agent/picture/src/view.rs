//! What a camera usually sees, and how like it a picture is. Pure.

use crate::sketch::{CELLS, COLUMNS, DETAIL_STEPS, ROWS, Sketch, share};

/// How far a picture is looked for beside its usual place, in cells: a third of the view.
const REACH: (i32, i32) = (21, 12);

/// A camera's usual view: slow averages of its sketches.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Size of the pictures it was learnt from.
    pub size: (u32, u32),
    /// Mean luma of each cell.
    pub luma: Vec<f32>,
    /// Mean detail of each cell, in quarters of a level.
    pub detail: Vec<f32>,
}

/// How like its usual view a picture is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Correlation of the cells' luma, −1 to 1: the rough layout. Brightness and contrast do not count.
    pub layout: f32,
    /// Correlation of the cells' detail: where the edges are.
    pub edges: f32,
    /// Detail now ÷ detail usually, over the whole picture.
    pub detail: f32,
    /// Contrast now ÷ contrast usually.
    pub contrast: f32,
    /// The share of the cells in which something is usually drawn that are flat now.
    pub lost: f32,
    /// Where the edges fit best.
    pub best: Shift,
}

/// A displacement, in cells, and how well the edges fit there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// To the right.
    pub columns: i32,
    /// Down.
    pub rows: i32,
    /// Correlation of the cells' detail there.
    pub edges: f32,
}

impl View {
    /// A view begun with one picture.
    pub fn of(sketch: &Sketch) -> Self {
        let floats = |values: &[u8]| values.iter().map(|value| f32::from(*value)).collect();
        Self { size: sketch.size, luma: floats(&sketch.luma), detail: floats(&sketch.detail) }
    }

    /// Takes a share `rate` (0 to 1) of a picture into the view.
    pub fn learn(&mut self, sketch: &Sketch, rate: f32) {
        for (usual, now) in [(&mut self.luma, &sketch.luma), (&mut self.detail, &sketch.detail)] {
            for (usual, now) in usual.iter_mut().zip(now) {
                *usual += (f32::from(*now) - *usual) * rate;
            }
        }
    }

    /// How like the view a picture is. The best place is looked for only where the edges fit badly: it costs a
    /// millisecond or two.
    pub fn compare(&self, sketch: &Sketch, look_around_below: f32) -> Likeness {
        let now = View::of(sketch);
        let here = Shift { columns: 0, rows: 0, edges: correlation(&self.detail, &now.detail, 0, 0) };
        let best = if here.edges < look_around_below { self.best(&now, here) } else { here };
        let sum = |values: &[f32]| values.iter().sum::<f32>();
        let drawn = |detail: &f32| *detail >= 2.0 * DETAIL_STEPS;
        let usually: Vec<bool> = self
            .detail
            .iter()
            .zip(&now.detail)
            .filter(|(usual, _)| drawn(usual))
            .map(|(_, now)| *now < DETAIL_STEPS / 2.0)
            .collect();
        Likeness {
            layout: correlation(&self.luma, &now.luma, 0, 0),
            edges: here.edges,
            contrast: now.contrast() / self.contrast().max(1.0),
            detail: sum(&now.detail) / sum(&self.detail).max(CELLS as f32 * 0.1),
            lost: share(usually.into_iter()),
            best,
        }
    }

    /// The standard deviation of the cells' luma.
    fn contrast(&self) -> f32 {
        let mean = self.luma.iter().sum::<f32>() / CELLS as f32;
        (self.luma.iter().map(|luma| (luma - mean).powi(2)).sum::<f32>() / CELLS as f32).sqrt()
    }

    fn best(&self, now: &Self, here: Shift) -> Shift {
        let mut best = here;
        for rows in -REACH.1..=REACH.1 {
            for columns in -REACH.0..=REACH.0 {
                let edges = correlation(&self.detail, &now.detail, columns, rows);
                if edges > best.edges {
                    best = Shift { columns, rows, edges };
                }
            }
        }
        best
    }
}

/// Pearson's correlation of two grids where they overlap, the second taken `columns` to the right and `rows` down; 0 where
/// one of them is flat.
fn correlation(usual: &[f32], now: &[f32], columns: i32, rows: i32) -> f32 {
    let range = |shift: i32, size: usize| {
        let size = size as i32;
        (0.max(-shift) as usize, size.min(size - shift).max(0) as usize)
    };
    let ((left, right), (top, bottom)) = (range(columns, COLUMNS), range(rows, ROWS));
    if left >= right || top >= bottom {
        return 0.0;
    }
    let (mut n, mut a, mut b, mut aa, mut bb, mut ab) = (0.0f32, 0.0f32, 0.0f32, 0.0f32, 0.0f32, 0.0f32);
    for row in top..bottom {
        let from = row * COLUMNS;
        let moved = (row as i32 + rows) as usize * COLUMNS;
        let (Some(usual), Some(now)) = (
            usual.get(from + left..from + right),
            now.get(moved + (left as i32 + columns) as usize..moved + (right as i32 + columns) as usize),
        ) else {
            return 0.0;
        };
        for (x, y) in usual.iter().zip(now) {
            (a, b, aa, bb, ab) = (a + x, b + y, aa + x * x, bb + y * y, ab + x * y);
        }
        n += usual.len() as f32;
    }
    let spread = ((aa - a * a / n) * (bb - b * b / n)).max(0.0).sqrt();
    if spread < 1.0 { 0.0 } else { (ab - a * b / n) / spread }
}
