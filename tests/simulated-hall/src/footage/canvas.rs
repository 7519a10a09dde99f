//! A picture in I420 on which flat shapes are drawn row by row. Cheap by design: every shape is a run of `fill`s, so
//! that even a debug build draws hundreds of pictures a second.

/// A colour as BT.709 limited-range Y, Cb, Cr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    y: u8,
    u: u8,
    v: u8,
}

impl Colour {
    /// Black.
    pub const BLACK: Self = Self { y: 16, u: 128, v: 128 };
    /// White.
    pub const WHITE: Self = Self { y: 235, u: 128, v: 128 };

    /// From 8-bit RGB.
    #[must_use]
    pub fn rgb(r: u8, g: u8, b: u8) -> Self {
        let (r, g, b) = (f64::from(r), f64::from(g), f64::from(b));
        let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let level = |value: f64| value.round().clamp(0.0, 255.0) as u8;
        Self {
            y: level(16.0 + luma * 219.0 / 255.0),
            u: level(128.0 + (b - luma) / 1.8556 * 224.0 / 255.0),
            v: level(128.0 + (r - luma) / 1.5748 * 224.0 / 255.0),
        }
    }

    /// From hue in degrees, saturation and value in 0..=1.
    #[must_use]
    pub fn hsv(hue: f64, saturation: f64, value: f64) -> Self {
        let part = |n: f64| {
            let k = (n + hue / 60.0).rem_euclid(6.0);
            let level = value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0);
            (level * 255.0).round() as u8
        };
        Self::rgb(part(5.0), part(3.0), part(1.0))
    }
}

/// One picture, I420, even width and height.
#[derive(Debug, Clone)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A black picture. Width and height are rounded down to even numbers.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        let (width, height) = (width & !1, height & !1);
        let mut pixels = vec![16; width * height * 3 / 2];
        pixels[width * height..].fill(128);
        Self { width, height, pixels }
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The I420 bytes: Y plane, then U, then V, no padding.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Takes over the pixels of another picture of the same size.
    pub fn copy_from(&mut self, other: &Self) {
        if other.pixels.len() == self.pixels.len() {
            self.pixels.copy_from_slice(&other.pixels);
        }
    }

    fn span(&mut self, y: usize, from: usize, to: usize, colour: Colour) {
        if y >= self.height || from >= to {
            return;
        }
        let to = to.min(self.width);
        let from = from.min(to);
        let row = y * self.width;
        self.pixels[row + from..row + to].fill(colour.y);
        if y.is_multiple_of(2) {
            let (half, luma) = (self.width / 2, self.width * self.height);
            let chroma = y / 2 * half;
            let (left, right) = (from / 2, to.div_ceil(2).min(half));
            self.pixels[luma + chroma + left..luma + chroma + right].fill(colour.u);
            let v = luma + luma / 4 + chroma;
            self.pixels[v + left..v + right].fill(colour.v);
        }
    }

    /// A filled rectangle; parts outside the picture are cut off.
    pub fn rect(&mut self, x: f64, y: f64, w: f64, h: f64, colour: Colour) {
        let from = x.round().max(0.0) as usize;
        let to = (x + w).round().max(0.0) as usize;
        for row in y.round().max(0.0) as usize..((y + h).round().max(0.0) as usize).min(self.height) {
            self.span(row, from, to, colour);
        }
    }

    /// A filled ellipse around (`cx`, `cy`).
    pub fn ellipse(&mut self, cx: f64, cy: f64, rx: f64, ry: f64, colour: Colour) {
        let first = (cy - ry).ceil().max(0.0) as usize;
        for row in first..((cy + ry).floor().max(0.0) as usize + 1).min(self.height) {
            let part = 1.0 - ((row as f64 - cy) / ry).powi(2);
            if part > 0.0 {
                let half = rx * part.sqrt();
                let from = (cx - half).round().max(0.0) as usize;
                self.span(row, from, (cx + half).round().max(0.0) as usize, colour);
            }
        }
    }

    /// A line of round dots `thick` across.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), thick: f64, colour: Colour) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = (dx.hypot(dy) / (thick * 0.4).max(1.0)).ceil().max(1.0) as usize;
        for step in 0..=steps {
            let t = step as f64 / steps as f64;
            self.ellipse(from.0 + dx * t, from.1 + dy * t, thick / 2.0, thick / 2.0, colour);
        }
    }

    /// Latin text in an 8×8 font, each dot `dot` pixels wide and high; other characters are left blank.
    pub fn text(&mut self, x: f64, y: f64, dot: f64, text: &str, colour: Colour) {
        for (place, character) in text.chars().enumerate() {
            let Some(glyph) = font8x8::legacy::BASIC_LEGACY.get(character as usize) else { continue };
            for (row, dots) in glyph.iter().enumerate() {
                for column in 0..8 {
                    if dots >> column & 1 == 1 {
                        let left = x + (place * 8 + column) as f64 * dot;
                        self.rect(left, y + row as f64 * dot, dot, dot, colour);
                    }
                }
            }
        }
    }

    /// Adds grain of ± `amplitude` to the brightness, as a camera's sensor does. `next` gives random bits.
    pub fn grain(&mut self, amplitude: u8, mut next: impl FnMut() -> u64) {
        let span = u64::from(amplitude) * 2 + 1;
        let luma = self.width * self.height;
        for pixels in self.pixels[..luma].chunks_mut(8) {
            let mut random = next();
            for pixel in pixels {
                let change = ((random & 0xFF) * span) >> 8;
                random >>= 8;
                *pixel = pixel.saturating_add(change as u8).saturating_sub(amplitude).clamp(16, 235);
            }
        }
    }

    /// The same picture as packed RGB.
    #[must_use]
    pub fn to_rgb(&self) -> Vec<u8> {
        let luma = self.width * self.height;
        let mut rgb = Vec::with_capacity(luma * 3);
        for row in 0..self.height {
            for column in 0..self.width {
                let chroma = row / 2 * (self.width / 2) + column / 2;
                let y = (f64::from(self.pixels[row * self.width + column]) - 16.0) * 255.0 / 219.0;
                let u = (f64::from(self.pixels[luma + chroma]) - 128.0) * 255.0 / 224.0;
                let v = (f64::from(self.pixels[luma + luma / 4 + chroma]) - 128.0) * 255.0 / 224.0;
                for value in [y + 1.5748 * v, y - 0.1873 * u - 0.4681 * v, y + 1.8556 * u] {
                    rgb.push(value.round().clamp(0.0, 255.0) as u8);
                }
            }
        }
        rgb
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_survive_the_way_to_yuv_and_back() {
        let mut canvas = Canvas::new(8, 8);
        canvas.rect(0.0, 0.0, 8.0, 8.0, Colour::rgb(200, 40, 90));
        let rgb = canvas.to_rgb();
        for (got, wanted) in rgb[..3].iter().zip([200_i32, 40, 90]) {
            assert!((i32::from(*got) - wanted).abs() <= 3, "{rgb:?}");
        }
    }

    #[test]
    fn shapes_beyond_the_edge_are_cut() {
        let mut canvas = Canvas::new(16, 16);
        canvas.rect(-5.0, -5.0, 100.0, 100.0, Colour::WHITE);
        canvas.ellipse(16.0, 16.0, 9.0, 9.0, Colour::BLACK);
        canvas.text(10.0, 10.0, 2.0, "W1", Colour::BLACK);
        assert_eq!(canvas.pixels()[0], 235);
    }
}
