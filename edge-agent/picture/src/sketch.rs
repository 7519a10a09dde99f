//! A picture reduced to what its health and a seat are judged by: a grid of cells and a lattice of single pixels. Pure.
//!
//! Nothing in a sketch shows who is in the picture: a cell is 1/64 of the picture's width, a face some ten cells at best.

/// Cells in a row.
pub const COLUMNS: usize = 64;
/// Rows of cells.
pub const ROWS: usize = 36;
/// Cells.
pub const CELLS: usize = COLUMNS * ROWS;
/// The lattice of single pixels: none is averaged, so that a living sensor's noise stays in it.
const POINT_COLUMNS: usize = 160;
const POINT_ROWS: usize = 90;
/// Steps from pixel to pixel below this are noise of sensor and encoder, in levels of luma (two neighbours, both ways).
const NOISE: u32 = 8;
/// A cell's detail is kept in quarters of a level.
pub const DETAIL_STEPS: f32 = 4.0;

/// One plane of a decoded picture.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// Its samples, row after row.
    pub samples: &'a [u8],
    /// From row to row.
    pub stride: usize,
}

/// A decoded picture, 4:2:0.
#[derive(Debug, Clone, Copy)]
pub struct Planes<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Luma.
    pub luma: Plane<'a>,
    /// Blue difference, half the size both ways.
    pub blue: Plane<'a>,
    /// Red difference, half the size both ways.
    pub red: Plane<'a>,
}

/// A reduced picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    /// The picture's size in pixels.
    pub size: (u32, u32),
    /// Mean luma of each cell, row after row.
    pub luma: Vec<u8>,
    /// Mean blue difference of each cell.
    pub blue: Vec<u8>,
    /// Mean red difference of each cell.
    pub red: Vec<u8>,
    /// How much is drawn in each cell: the mean step between neighbouring pixels above the noise, in quarters of a level.
    pub detail: Vec<u8>,
    /// Luma of single pixels.
    points: Vec<u8>,
}

impl Sketch {
    /// Reduces a picture; none where its planes are smaller than they say, or it has fewer pixels than cells.
    pub fn of(planes: &Planes<'_>) -> Option<Self> {
        let Planes { width, height, luma, blue, red } = *planes;
        if width < COLUMNS * 2 || height < ROWS * 2 || !luma.holds(width, height) {
            return None;
        }
        let half = (width.div_ceil(2), height.div_ceil(2));
        if !blue.holds(half.0, half.1) || !red.holds(half.0, half.1) {
            return None;
        }
        Some(Self {
            size: (u32::try_from(width).ok()?, u32::try_from(height).ok()?),
            luma: means(luma, width, height),
            blue: means(blue, half.0, half.1),
            red: means(red, half.0, half.1),
            detail: detail(luma, width, height),
            points: points(luma, width, height),
        })
    }

    /// Mean luma of the whole picture.
    pub fn brightness(&self) -> f32 {
        mean(&self.luma)
    }

    /// How far the cells' luma lies from their mean: the standard deviation, in levels.
    pub fn contrast(&self) -> f32 {
        let mean = self.brightness();
        let squares: f32 = self.luma.iter().map(|luma| (f32::from(*luma) - mean).powi(2)).sum();
        (squares / self.luma.len().max(1) as f32).sqrt()
    }

    /// How much is drawn in the picture as a whole, in levels.
    pub fn sharpness(&self) -> f32 {
        mean(&self.detail) / DETAIL_STEPS
    }

    /// The share of cells whose luma is at least `level`.
    pub fn share_above(&self, level: u8) -> f32 {
        share(self.luma.iter().map(|luma| *luma >= level))
    }

    /// The share of cells in which nothing is drawn.
    pub fn flat(&self) -> f32 {
        share(self.detail.iter().map(|detail| f32::from(*detail) < DETAIL_STEPS / 2.0))
    }

    /// The share of single pixels that differ from those of `before` by more than one level; 1 where the sizes differ.
    /// A sensor's noise changes some of them from picture to picture, however still the scene is.
    pub fn changed(&self, before: &Self) -> f32 {
        if self.size != before.size {
            return 1.0;
        }
        share(self.points.iter().zip(&before.points).map(|(now, before)| now.abs_diff(*before) > 1))
    }
}

impl Plane<'_> {
    fn holds(&self, width: usize, height: usize) -> bool {
        self.stride >= width && self.samples.len() >= self.stride * height.saturating_sub(1) + width
    }

    fn row(&self, y: usize, width: usize) -> &[u8] {
        self.samples.get(y * self.stride..y * self.stride + width).unwrap_or_default()
    }
}

pub(crate) fn share(of: impl ExactSizeIterator<Item = bool>) -> f32 {
    let all = of.len().max(1);
    of.filter(|yes| *yes).count() as f32 / all as f32
}

fn mean(values: &[u8]) -> f32 {
    values.iter().map(|value| u64::from(*value)).sum::<u64>() as f32 / values.len().max(1) as f32
}

/// Sums rows of numbers into cells: `add` is given each picture row with its row of sums.
fn cells(width: usize, height: usize, mut of_row: impl FnMut(usize, &mut [u32])) -> Vec<u8> {
    let mut grid = Vec::with_capacity(CELLS);
    let mut line = vec![0u32; width];
    for row in 0..ROWS {
        let (from, to) = (row * height / ROWS, (row + 1) * height / ROWS);
        line.fill(0);
        for y in from..to {
            of_row(y, &mut line);
        }
        for column in 0..COLUMNS {
            let (left, right) = (column * width / COLUMNS, (column + 1) * width / COLUMNS);
            let sum: u64 = line[left..right].iter().map(|value| u64::from(*value)).sum();
            let count = ((right - left) * (to - from)).max(1) as u64;
            grid.push(u8::try_from(sum / count).unwrap_or(u8::MAX));
        }
    }
    grid
}

fn means(plane: Plane<'_>, width: usize, height: usize) -> Vec<u8> {
    cells(width, height, |y, line| {
        for (sum, sample) in line.iter_mut().zip(plane.row(y, width)) {
            *sum += u32::from(*sample);
        }
    })
}

fn detail(plane: Plane<'_>, width: usize, height: usize) -> Vec<u8> {
    cells(width, height, |y, line| {
        let (above, below) = (y.saturating_sub(1), (y + 1).min(height - 1));
        let (above, row, below) = (plane.row(above, width), plane.row(y, width), plane.row(below, width));
        let inner = line.iter_mut().skip(1).zip(row.windows(3)).zip(above.iter().zip(below).skip(1));
        for ((sum, around), (above, below)) in inner {
            let step = u32::from(around[0].abs_diff(around[2])) + u32::from(above.abs_diff(*below));
            *sum += step.saturating_sub(NOISE) * DETAIL_STEPS as u32;
        }
    })
}

fn points(plane: Plane<'_>, width: usize, height: usize) -> Vec<u8> {
    let mut points = Vec::with_capacity(POINT_COLUMNS * POINT_ROWS);
    for y in 0..POINT_ROWS {
        let row = plane.row((2 * y + 1) * height / (2 * POINT_ROWS), width);
        points.extend(
            (0..POINT_COLUMNS)
                .map(|x| row.get((2 * x + 1) * width / (2 * POINT_COLUMNS)).copied().unwrap_or_default()),
        );
    }
    points
}
