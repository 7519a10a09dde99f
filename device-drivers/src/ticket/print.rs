//! Writing ESC/POS: just what a ticket needs (docs/reference/devices.md B1).

/// Alignment of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// Left.
    #[default]
    Left,
    /// Centre.
    Centre,
    /// Right.
    Right,
}

impl Align {
    /// The byte of `ESC a`.
    pub fn byte(self) -> u8 {
        match self {
            Self::Left => 0,
            Self::Centre => 1,
            Self::Right => 2,
        }
    }
}

/// Builds the bytes of a slip.
#[derive(Clone, Debug, Default)]
pub struct Printout {
    bytes: Vec<u8>,
}

impl Printout {
    /// Starts with initialise and Chinese mode.
    pub fn new() -> Self {
        Self { bytes: vec![0x1B, 0x40, 0x1C, 0x26] }
    }

    /// Aligns what follows.
    pub fn align(mut self, align: Align) -> Self {
        self.bytes.extend([0x1B, 0x61, align.byte()]);
        self
    }

    /// Character size, 1 to 8 times in each direction (clamped).
    pub fn size(mut self, width: u8, height: u8) -> Self {
        let n = ((width.clamp(1, 8) - 1) << 4) | (height.clamp(1, 8) - 1);
        self.bytes.extend([0x1D, 0x21, n]);
        self
    }

    /// Bold on or off.
    pub fn bold(mut self, on: bool) -> Self {
        self.bytes.extend([0x1B, 0x45, u8::from(on)]);
        self
    }

    /// Text in GB18030. Control characters are left out.
    pub fn text(mut self, text: &str) -> Self {
        let printable: String = text.chars().filter(|c| !c.is_control()).collect();
        self.bytes.extend_from_slice(&encoding_rs::GB18030.encode(&printable).0);
        self
    }

    /// Text and the end of the line.
    pub fn line(self, text: &str) -> Self {
        let mut done = self.text(text);
        done.bytes.push(0x0A);
        done
    }

    /// A QR code (model 2, level M); `size` is the module's, 1 to 16. At most 7,089 bytes fit into a code; more is cut off.
    pub fn qr(mut self, content: &[u8], size: u8) -> Self {
        let content = &content[..content.len().min(7089)];
        self.bytes.extend([0x1D, 0x28, 0x6B, 4, 0, 0x31, 0x41, 0x32, 0]);
        self.bytes.extend([0x1D, 0x28, 0x6B, 3, 0, 0x31, 0x43, size.clamp(1, 16)]);
        self.bytes.extend([0x1D, 0x28, 0x6B, 3, 0, 0x31, 0x45, 0x31]);
        let [low, high] = ((content.len() + 3) as u16).to_le_bytes();
        self.bytes.extend([0x1D, 0x28, 0x6B, low, high, 0x31, 0x50, 0x30]);
        self.bytes.extend_from_slice(content);
        self.bytes.extend([0x1D, 0x28, 0x6B, 3, 0, 0x31, 0x51, 0x30]);
        self
    }

    /// A monochrome raster picture of `width_bytes` × 8 dots by as many rows as the dots give.
    pub fn raster(mut self, width_bytes: u16, dots: &[u8]) -> Self {
        let rows = dots.len() / usize::from(width_bytes.max(1));
        let [xl, xh] = width_bytes.to_le_bytes();
        let [yl, yh] = (rows.min(65_535) as u16).to_le_bytes();
        self.bytes.extend([0x1D, 0x76, 0x30, 0, xl, xh, yl, yh]);
        let first = self.bytes.len();
        self.bytes.extend_from_slice(&dots[..rows.min(65_535) * usize::from(width_bytes)]);
        self.hide_real_time(first);
        self
    }

    /// A printer obeys real-time commands even inside a picture (docs/reference/devices.md B1): one dot more is not
    /// seen, a cash drawer that opens is.
    fn hide_real_time(&mut self, first: usize) {
        for at in first..self.bytes.len() {
            let next = self.bytes.get(at + 1);
            if self.bytes[at] == 0x10 && next.is_none_or(|b| matches!(b, 0x04 | 0x05 | 0x14)) {
                self.bytes[at] = 0x11;
            }
        }
    }

    /// Prints and feeds `lines` lines.
    pub fn feed(mut self, lines: u8) -> Self {
        self.bytes.extend([0x1B, 0x64, lines]);
        self
    }

    /// Full cut.
    pub fn cut(mut self) -> Self {
        self.bytes.extend([0x1D, 0x56, 0]);
        self
    }

    /// Feeds `units` motion units and cuts.
    pub fn feed_and_cut(mut self, units: u8) -> Self {
        self.bytes.extend([0x1D, 0x56, 0x42, units]);
        self
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// The vectors of docs/reference/devices.md B1.
    #[test]
    fn vectors() {
        let ticket =
            Printout::new().align(Align::Centre).size(2, 2).line("A001").size(1, 1).line("社保窗口 等候3人");
        assert_eq!(
            HEXLOWER.encode(&ticket.into_bytes()),
            "1b401c261b61011d2111413030310a1d2100c9e7b1a3b4b0bfda20b5c8baf233c8cb0a"
        );
        let qr = Printout::default().qr(b"http://x/1", 4);
        assert_eq!(
            HEXLOWER.encode(&qr.into_bytes()),
            "1d286b0400314132001d286b03003143041d286b03003145311d286b0d00315030687474703a2f2f782f31\
             1d286b0300315130"
        );
        assert_eq!(HEXLOWER.encode(&Printout::default().feed(6).cut().into_bytes()), "1b64061d5600");
    }

    /// docs/reference/devices.md B1: "Never let `10 04` or `10 05` or `10 14` occur inside image data".
    #[test]
    fn no_picture_holds_a_real_time_command() {
        let dots = [0x10, 0x04, 0x10, 0x05, 0x10, 0x14, 0x10, 0x10, 0x04, 0x10];
        let bytes = Printout::default().raster(5, &dots).feed(5).into_bytes();
        let picture = &bytes[8..];
        assert!(!picture.windows(2).any(|p| p[0] == 0x10 && matches!(p[1], 4 | 5 | 0x14)), "{picture:02x?}");
        assert_eq!(picture[6], 0x10, "what is no command stays");
    }
}
