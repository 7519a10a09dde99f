//! Photographs of the acceptance: read as JPEG, turned as the camera held it, scaled down and written anew, so that nothing but the
//! picture remains. Works on bytes alone.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
    imageops::FilterType,
};

/// The largest photo taken, bytes.
pub(super) const MOST: usize = 2 * 1024 * 1024;
/// The longer side afterwards, pixels.
const SIDE: u32 = 1600;
/// Larger pictures are not opened.
const LARGEST: u32 = 12_000;
const QUALITY: u8 = 80;

/// A photo written anew.
#[derive(Debug)]
pub(super) struct Photo {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The JPEG.
    pub jpeg: Vec<u8>,
}

/// Takes a photo. Takes some 100 ms of computing: not for a runtime thread.
///
/// # Errors
/// Why it is not taken, in English.
pub(super) fn take(bytes: &[u8]) -> Result<Photo, String> {
    if bytes.len() > MOST {
        return Err("it is larger than 2 MiB".into());
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg);
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST), Some(LARGEST));
    limits.max_alloc = Some(256 * 1024 * 1024);
    reader.limits(limits);
    let unreadable = |e: image::ImageError| format!("not a JPEG picture: {e}");
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let turned = decoder.orientation().map_err(unreadable)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    picture.apply_orientation(turned);
    if picture.width().max(picture.height()) > SIDE {
        picture = picture.resize(SIDE, SIDE, FilterType::Triangle);
    }
    let picture = picture.into_rgb8();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&picture).map_err(|e| e.to_string())?;
    Ok(Photo { width: picture.width(), height: picture.height(), jpeg })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_scaled_and_loses_what_is_not_picture() {
        let wide = image::RgbImage::from_pixel(3200, 1000, image::Rgb([200, 10, 10]));
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&wide).unwrap();
        // An APP1 segment with EXIF that says where it was taken, after the start of image.
        let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0GPS-MARKER";
        let mut marked = jpeg[..2].to_vec();
        marked.extend([0xFF, 0xE1]);
        marked.extend((exif.len() as u16 + 2).to_be_bytes());
        marked.extend(exif);
        marked.extend(&jpeg[2..]);
        let photo = take(&marked).unwrap();
        assert_eq!((photo.width, photo.height), (1600, 500));
        assert!(!photo.jpeg.windows(10).any(|w| w == b"GPS-MARKER"));
        assert!(image::load_from_memory(&photo.jpeg).is_ok());
    }

    #[test]
    fn what_is_no_jpeg_is_refused() {
        assert!(take(b"\x89PNG\r\n\x1a\n").is_err());
        assert!(take(&vec![0; MOST + 1]).is_err());
        assert!(take(b"").is_err());
    }
}
