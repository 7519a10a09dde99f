//! Scaling and JPEG of decoded pictures. Pure.

use bytes::Bytes;
use image::{ExtendedColorType, ImageEncoder, RgbImage, codecs::jpeg::JpegEncoder, imageops};

use crate::{Jpeg, StillError};

/// A decoded picture.
pub(crate) struct Picture {
    /// Its pixels.
    pub(crate) pixels: RgbImage,
    /// How much wider than high one pixel is, as a fraction (1/1 for square ones).
    pub(crate) aspect: (u32, u32),
}

/// Scales to at most `max_width`, makes pixels square and encodes.
pub(crate) fn encode(picture: Picture, max_width: u32, quality: u8) -> Result<Jpeg, StillError> {
    let Picture { pixels, aspect } = picture;
    let (width, height) = shown_size(pixels.dimensions(), aspect, max_width);
    let pixels = if pixels.dimensions() == (width, height) {
        pixels
    } else {
        imageops::thumbnail(&pixels, width, height)
    };
    let mut file = Vec::with_capacity(pixels.len() / 10);
    JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100))
        .write_image(&pixels, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| StillError::Undecodable(error.to_string()))?;
    Ok(Jpeg { bytes: Bytes::from(file), width, height })
}

/// The size a picture is shown in: pixels made square (sub streams such as 704×480 are often stored squeezed), at most
/// `max_width` wide and never larger than it was.
fn shown_size((width, height): (u32, u32), (across, down): (u32, u32), max_width: u32) -> (u32, u32) {
    let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let (across, down) = (u64::from(across.max(1)), u64::from(down.max(1)));
    // Squeezed either way, the longer side stays and the other shrinks: nothing is invented.
    let (square_width, square_height) =
        if across > down { (width, height * down / across) } else { (width * across / down, height) };
    let shown = square_width.clamp(1, u64::from(max_width.max(1)));
    let shown_height = (square_height * shown / square_width.max(1)).max(1);
    (u32::try_from(shown).unwrap_or(u32::MAX), u32::try_from(shown_height).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_the_shape_and_never_grow() {
        assert_eq!(shown_size((1280, 720), (1, 1), 640), (640, 360));
        assert_eq!(shown_size((320, 180), (1, 1), 640), (320, 180));
        assert_eq!(shown_size((704, 480), (40, 33), 4000), (704, 396));
        assert_eq!(shown_size((960, 1080), (1, 2), 4000), (480, 1080));
        assert_eq!(shown_size((1, 1), (0, 0), 0), (1, 1));
    }

    #[test]
    fn a_picture_becomes_a_file_that_can_be_read() {
        let pixels = RgbImage::from_pixel(64, 48, image::Rgb([200, 30, 30]));
        let jpeg = encode(Picture { pixels, aspect: (1, 1) }, 32, 80).unwrap();
        assert_eq!((jpeg.width, jpeg.height), (32, 24));
        let read = image::load_from_memory(&jpeg.bytes).unwrap().to_rgb8();
        assert_eq!(read.dimensions(), (32, 24));
        let middle = read.get_pixel(16, 12).0;
        assert!(middle.iter().zip([200u8, 30, 30]).all(|(a, b)| a.abs_diff(b) < 12), "{middle:?}");
    }
}
