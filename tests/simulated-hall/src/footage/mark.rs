//! The block code that says which camera a picture comes from.
//!
//! It is drawn into every picture and read back from pixels (a decoded frame, a screenshot of a tile), at any scale
//! down to a tile of 240 pixels across. Geometry, all relative to the picture's width and height, so that it can be
//! read without knowing the scale:
//!
//! * the mark is a rectangle with its left edge at [`MARK_LEFT`] × width, its top at [`MARK_TOP`] × height,
//!   [`MARK_WIDTH`] × width across, with [`MARK_ROWS`] rows of [`MARK_ROW_HEIGHT`] × height each;
//! * each row has [`MARK_COLUMNS`] cells of equal width, white = 1, black = 0, most significant bit at the left;
//! * row 0 is the camera number (u16); row 1 is the byte [`MARK_SYNC`] and then [`mark_check`] of the number.
//!
//! To read: take the mean brightness around the middle of each cell; the threshold is half way between the darkest
//! and the brightest cell, which must differ by at least 60 of 255; then compare sync and check.

use super::canvas::{Canvas, Colour};

/// Left edge of the mark, as a part of the picture's width.
pub const MARK_LEFT: f64 = 0.1;
/// Top of the mark, as a part of the picture's height.
pub const MARK_TOP: f64 = 0.16;
/// Width of the mark, as a part of the picture's width.
pub const MARK_WIDTH: f64 = 0.8;
/// Height of one row, as a part of the picture's height.
pub const MARK_ROW_HEIGHT: f64 = 0.06;
/// Rows of the mark.
pub const MARK_ROWS: usize = 2;
/// Cells in a row.
pub const MARK_COLUMNS: usize = 16;
/// First byte of row 1, by which a reader knows that it looks at a mark at all.
pub const MARK_SYNC: u8 = 0xA6;

/// Least difference between the darkest and the brightest cell for a picture to be read at all.
const LEAST_CONTRAST: u32 = 60;

/// The check byte of a camera number: CRC-8, polynomial 0x07, initial value 0xFF, over its two bytes, high byte first.
#[must_use]
pub fn mark_check(number: u16) -> u8 {
    number.to_be_bytes().iter().fold(0xFF_u8, |crc, byte| {
        (0..8).fold(crc ^ byte, |c, _| if c & 0x80 == 0 { c << 1 } else { (c << 1) ^ 0x07 })
    })
}

fn bits(number: u16) -> u32 {
    (u32::from(number) << 16) | (u32::from(MARK_SYNC) << 8) | u32::from(mark_check(number))
}

/// Draws the mark of `number`, with a thin grey margin so that it stands apart from whatever is around it.
pub(super) fn draw_mark(canvas: &mut Canvas, number: u16) {
    let code = bits(number);
    let (w, h) = (canvas.width() as f64, canvas.height() as f64);
    let margin = 0.012 * w;
    canvas.rect(
        MARK_LEFT * w - margin,
        MARK_TOP * h - margin,
        MARK_WIDTH * w + 2.0 * margin,
        MARK_ROW_HEIGHT * h * MARK_ROWS as f64 + 2.0 * margin,
        Colour::rgb(96, 96, 96),
    );
    for row in 0..MARK_ROWS {
        for column in 0..MARK_COLUMNS {
            let bit = 31 - (row * MARK_COLUMNS + column);
            let colour = if code >> bit & 1 == 1 { Colour::WHITE } else { Colour::BLACK };
            let cell = MARK_WIDTH * w / MARK_COLUMNS as f64;
            canvas.rect(
                MARK_LEFT * w + cell * column as f64,
                (MARK_TOP + MARK_ROW_HEIGHT * row as f64) * h,
                cell,
                MARK_ROW_HEIGHT * h,
                colour,
            );
        }
    }
}

/// Reads the camera number from `rgb` (three bytes a pixel, rows without padding), `width` × `height` pixels.
///
/// `None` when the pixels are too few, too flat, or do not carry a mark whose sync and check agree.
#[must_use]
pub fn read_mark(rgb: &[u8], width: usize, height: usize) -> Option<u16> {
    if width < 64 || height < 36 || rgb.len() < width * height * 3 {
        return None;
    }
    let (w, h) = (width as f64, height as f64);
    let (cell_w, cell_h) = (MARK_WIDTH * w / MARK_COLUMNS as f64, MARK_ROW_HEIGHT * h);
    let mut levels = [0_u32; MARK_ROWS * MARK_COLUMNS];
    for row in 0..MARK_ROWS {
        for column in 0..MARK_COLUMNS {
            let left = MARK_LEFT * w + cell_w * column as f64;
            let top = MARK_TOP * h + cell_h * row as f64;
            levels[row * MARK_COLUMNS + column] = mean(
                rgb,
                width,
                (left + cell_w * 0.35, left + cell_w * 0.65),
                (top + cell_h * 0.35, top + cell_h * 0.65),
            );
        }
    }
    let darkest = *levels.iter().min()?;
    let brightest = *levels.iter().max()?;
    if brightest - darkest < LEAST_CONTRAST {
        return None;
    }
    let threshold = darkest.midpoint(brightest);
    let code = levels.iter().fold(0_u32, |code, level| code << 1 | u32::from(*level > threshold));
    let number = (code >> 16) as u16;
    (bits(number) == code).then_some(number)
}

fn mean(rgb: &[u8], width: usize, x: (f64, f64), y: (f64, f64)) -> u32 {
    let span = |(from, to): (f64, f64)| {
        let first = from.floor() as usize;
        first..(to.ceil() as usize).max(first + 1)
    };
    let (mut sum, mut count) = (0_u32, 0_u32);
    for row in span(y) {
        for column in span(x) {
            let at = (row * width + column) * 3;
            if let Some(pixel) = rgb.get(at..at + 3) {
                sum += pixel.iter().map(|c| u32::from(*c)).sum::<u32>();
                count += 3;
            }
        }
    }
    sum.checked_div(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn check_byte_is_the_published_crc() {
        // CRC-8 (poly 07, init FF) by hand: one zero byte gives F3.
        assert_eq!((0..8).fold(0xFF_u8, |c, _| if c & 0x80 == 0 { c << 1 } else { (c << 1) ^ 0x07 }), 0xF3);
        assert_ne!(mark_check(1), mark_check(2));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_drawn_is_read(number: u16, width in 120_usize..800) {
            let mut canvas = Canvas::new(width / 2 * 2, width * 9 / 16 / 2 * 2);
            draw_mark(&mut canvas, number);
            let (w, h) = (canvas.width(), canvas.height());
            prop_assert_eq!(read_mark(&canvas.to_rgb(), w, h), Some(number));
        }

        #[test]
        fn noise_is_not_a_mark(seed: u64) {
            let mut state = seed | 1;
            let rgb: Vec<u8> = (0..160 * 90 * 3).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u8
            }).collect();
            prop_assert_eq!(read_mark(&rgb, 160, 90), None);
        }
    }
}
