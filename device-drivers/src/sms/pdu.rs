//! Messages as a modem in PDU mode carries them (3GPP TS 23.040, 9.2): a pure codec, both directions of each kind.
//!
//! Owns bytes and hexadecimal text. Knows no modem and keeps nothing.

use data_encoding::{HEXUPPER, HEXUPPER_PERMISSIVE};
use jiff::{Timestamp, civil, tz::Offset};

use super::{PhoneNumber, alphabet};

/// Longest PDU of a message with its service centre, in octets (TS 27.005, 3.1).
const LONGEST: usize = 12 + 164 + 20;
/// Longest user data, in octets.
const LONGEST_DATA: usize = 140;

/// What is wrong with a PDU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// Not hexadecimal.
    #[error("the PDU is not hexadecimal text")]
    NotHex,
    /// Ends before its contents do.
    #[error("the PDU ends in the middle of {0}")]
    Short(&'static str),
    /// Longer than any message.
    #[error("the PDU is longer than any message")]
    Long,
    /// Another kind of message.
    #[error("the PDU is of another kind (first octet {0:02X})")]
    Kind(u8),
    /// A number with too many digits or with other characters.
    #[error("the PDU has an address that cannot be")]
    Address,
    /// A user-data header that contradicts itself.
    #[error("the PDU's user-data header contradicts itself")]
    Header,
}

/// Which part of a long message this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// Number of the long message, from its sender.
    pub reference: u16,
    /// Whether the reference has 16 bits.
    pub wide: bool,
    /// Parts in all.
    pub total: u8,
    /// This part, from 1.
    pub sequence: u8,
}

/// User data without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The GSM alphabet, a septet in each byte.
    Gsm7(Vec<u8>),
    /// UTF-16 units. A part of a long message may end inside a character.
    Ucs2(Vec<u16>),
    /// Anything else.
    Octets(Vec<u8>),
}

impl Content {
    /// In the GSM alphabet if that has every character, else UCS2.
    pub fn of(text: &str) -> Self {
        match alphabet::encode(text) {
            Some(septets) => Self::Gsm7(septets),
            None => Self::Ucs2(text.encode_utf16().collect()),
        }
    }

    /// The text; of octets their hexadecimal form.
    pub fn text(&self) -> String {
        match self {
            Self::Gsm7(septets) => alphabet::decode(septets),
            Self::Ucs2(units) => String::from_utf16_lossy(units),
            Self::Octets(octets) => HEXUPPER.encode(octets),
        }
    }

    fn coding(&self) -> u8 {
        match self {
            Self::Gsm7(_) => 0x00,
            Self::Octets(_) => 0x04,
            Self::Ucs2(_) => 0x08,
        }
    }

    fn empty_of_coding(coding: u8) -> Self {
        // TS 23.038, 4.
        match coding >> 4 {
            0x0..=0x7 if coding & 0x20 != 0 => Self::Octets(Vec::new()),
            0x0..=0x7 => match coding >> 2 & 3 {
                1 => Self::Octets(Vec::new()),
                2 => Self::Ucs2(Vec::new()),
                _ => Self::Gsm7(Vec::new()),
            },
            0xE => Self::Ucs2(Vec::new()),
            0xF if coding & 0x04 != 0 => Self::Octets(Vec::new()),
            _ => Self::Gsm7(Vec::new()),
        }
    }
}

/// A message from here to a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    /// To whom.
    pub to: PhoneNumber,
    /// What.
    pub content: Content,
    /// Part of a long message.
    pub concat: Option<Concat>,
    /// How long the network tries, as TS 23.040 9.2.3.12.1 codes it (A7: a day); unset: as the network likes.
    pub validity: Option<u8>,
    /// Whether the network is to tell when it arrived.
    pub report: bool,
}

/// A message from a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// From whom.
    pub from: PhoneNumber,
    /// What.
    pub content: Content,
    /// Part of a long message.
    pub concat: Option<Concat>,
    /// When the service centre took it, by its clock; unset if it cannot be read.
    pub sent: Option<Timestamp>,
}

/// What became of a message sent from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// The number that the modem gave the message (`+CMGS: n`).
    pub reference: u8,
    /// To whom it went.
    pub to: PhoneNumber,
    /// TS 23.040, 9.2.3.15: below 0x20 it arrived, 0x20 to 0x3F the network tries on, from 0x40 on it has failed.
    pub status: u8,
}

/// A PDU as text for the modem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Hexadecimal, with the service centre's part.
    pub hex: String,
    /// Octets without the service centre's part: what `AT+CMGS=` is told.
    pub length: usize,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, of: &'static str) -> Result<&'a [u8], PduError> {
        let (taken, left) = self.0.split_at_checked(count).ok_or(PduError::Short(of))?;
        self.0 = left;
        Ok(taken)
    }

    fn octet(&mut self, of: &'static str) -> Result<u8, PduError> {
        Ok(self.take(1, of)?[0])
    }

    fn address(&mut self) -> Result<PhoneNumber, PduError> {
        let digits = usize::from(self.octet("an address")?);
        if digits > 20 {
            return Err(PduError::Address);
        }
        let kind = self.octet("an address")?;
        let octets = self.take(digits.div_ceil(2), "an address")?;
        if kind >> 4 & 7 == 5 {
            // A name: `digits` counts half octets.
            let septets = alphabet::unpack(octets, 0, digits * 4 / 7);
            return Ok(PhoneNumber::name(alphabet::decode(&septets)));
        }
        let mut number = if kind >> 4 & 7 == 1 { "+".to_owned() } else { String::new() };
        let nibbles = octets.iter().flat_map(|octet| [octet & 0xF, octet >> 4]);
        for nibble in nibbles.take(digits) {
            number.push(match nibble {
                digit @ 0..=9 => char::from(b'0' + digit),
                // TS 24.008, 10.5.4.7.
                10 => '*',
                11 => '#',
                12 => 'a',
                13 => 'b',
                14 => 'c',
                _ => return Err(PduError::Address),
            });
        }
        Ok(PhoneNumber::name(number))
    }

    fn time(&mut self) -> Result<Option<Timestamp>, PduError> {
        let octets = self.take(7, "a time")?;
        let bcd = |octet: u8| {
            let (low, high) = (octet & 0xF, octet >> 4);
            (low < 10 && high < 10).then_some(i8::try_from(low * 10 + high).ok()?)
        };
        let read = || {
            let field = |at: usize| bcd(octets[at]);
            let at = civil::DateTime::new(
                2000 + i16::from(field(0)?),
                field(1)?,
                field(2)?,
                field(3)?,
                field(4)?,
                field(5)?,
                0,
            )
            .ok()?;
            let quarters = i32::from(bcd(octets[6] & 0xF7)?);
            let seconds = if octets[6] & 0x08 == 0 { quarters * 900 } else { -quarters * 900 };
            Offset::from_seconds(seconds).ok()?.to_timestamp(at).ok()
        };
        Ok(read())
    }

    fn user_data(&mut self, coding: u8, header: bool) -> Result<(Content, Option<Concat>), PduError> {
        let length = usize::from(self.octet("the user data")?);
        let mut content = Content::empty_of_coding(coding);
        let octets = match content {
            Content::Gsm7(_) => (length * 7).div_ceil(8),
            _ => length,
        };
        let data = self.take(octets, "the user data")?;
        if data.len() > LONGEST_DATA {
            return Err(PduError::Long);
        }
        let mut body = data;
        let mut concat = None;
        let mut header_octets = 0;
        if header {
            let (count, rest) = data.split_first().ok_or(PduError::Header)?;
            let (elements, rest) = rest.split_at_checked(usize::from(*count)).ok_or(PduError::Header)?;
            concat = find_concat(elements)?;
            header_octets = 1 + elements.len();
            body = rest;
        }
        match &mut content {
            Content::Gsm7(septets) => {
                let header_septets = (header_octets * 8).div_ceil(7);
                let count = length.checked_sub(header_septets).ok_or(PduError::Header)?;
                *septets = alphabet::unpack(data, header_septets * 7, count);
            }
            Content::Ucs2(units) => {
                *units = body.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            }
            Content::Octets(octets) => *octets = body.to_vec(),
        }
        Ok((content, concat))
    }
}

fn find_concat(mut elements: &[u8]) -> Result<Option<Concat>, PduError> {
    let mut found = None;
    while let [kind, length, rest @ ..] = elements {
        let (value, rest) = rest.split_at_checked(usize::from(*length)).ok_or(PduError::Header)?;
        let concat = match (kind, value) {
            (0x00, [reference, total, sequence]) => Some((u16::from(*reference), false, *total, *sequence)),
            (0x08, [high, low, total, sequence]) => {
                Some((u16::from_be_bytes([*high, *low]), true, *total, *sequence))
            }
            _ => None,
        };
        if let Some((reference, wide, total, sequence)) = concat
            // TS 23.040, 9.2.3.24.1: anything else is to be passed over.
            && (1..=total).contains(&sequence)
        {
            found = Some(Concat { reference, wide, total, sequence });
        }
        elements = rest;
    }
    Ok(found)
}

fn header_of(concat: Option<Concat>) -> Vec<u8> {
    let Some(Concat { reference, wide, total, sequence }) = concat else { return Vec::new() };
    let [high, low] = reference.to_be_bytes();
    if wide { vec![6, 8, 4, high, low, total, sequence] } else { vec![5, 0, 3, low, total, sequence] }
}

fn put_user_data(out: &mut Vec<u8>, content: &Content, concat: Option<Concat>) -> Result<(), PduError> {
    let header = header_of(concat);
    let (length, body) = match content {
        Content::Gsm7(septets) => {
            let header_septets = (header.len() * 8).div_ceil(7);
            let fill = header_septets * 7 - header.len() * 8;
            (header_septets + septets.len(), alphabet::pack(septets, fill))
        }
        Content::Ucs2(units) => {
            let octets: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            (header.len() + octets.len(), octets)
        }
        Content::Octets(octets) => (header.len() + octets.len(), octets.clone()),
    };
    if header.len() + body.len() > LONGEST_DATA {
        return Err(PduError::Long);
    }
    out.push(u8::try_from(length).map_err(|_| PduError::Long)?);
    out.extend(header);
    out.extend(body);
    Ok(())
}

fn put_address(out: &mut Vec<u8>, number: &PhoneNumber) -> Result<(), PduError> {
    let Some(digits) = number.digits() else {
        let septets = alphabet::encode(number.reveal()).ok_or(PduError::Address)?;
        if septets.len() > 11 {
            return Err(PduError::Address);
        }
        let half_octets = (septets.len() * 7).div_ceil(4);
        out.extend([u8::try_from(half_octets).map_err(|_| PduError::Address)?, 0xD0]);
        out.extend(alphabet::pack(&septets, 0));
        return Ok(());
    };
    out.push(u8::try_from(digits.len()).map_err(|_| PduError::Address)?);
    out.push(if number.is_international() { 0x91 } else { 0x81 });
    for pair in digits.as_bytes().chunks(2) {
        let low = pair[0] - b'0';
        let high = pair.get(1).map_or(0xF, |digit| digit - b'0');
        out.push((high << 4) | low);
    }
    Ok(())
}

fn put_time(out: &mut Vec<u8>, at: Timestamp, offset: Offset) {
    let local = offset.to_datetime(at);
    let bcd = |value: i32| {
        let value = u8::try_from(value.rem_euclid(100)).unwrap_or(0);
        ((value % 10) << 4) | (value / 10)
    };
    let fields = [local.month(), local.day(), local.hour(), local.minute(), local.second()];
    out.push(bcd(i32::from(local.year())));
    out.extend(fields.map(|field| bcd(i32::from(field))));
    let quarters = offset.seconds() / 900;
    out.push(bcd(quarters.abs()) | if quarters < 0 { 0x08 } else { 0 });
}

/// The octets of a PDU's text, and how many of them are the service centre's part.
fn octets(hex: &str) -> Result<(Vec<u8>, usize), PduError> {
    let hex = hex.trim().as_bytes();
    if hex.len() > LONGEST * 2 {
        return Err(PduError::Long);
    }
    let octets = HEXUPPER_PERMISSIVE.decode(hex).map_err(|_| PduError::NotHex)?;
    let centre = 1 + usize::from(*octets.first().ok_or(PduError::Short("the service centre"))?);
    if centre > octets.len() {
        return Err(PduError::Short("the service centre"));
    }
    Ok((octets, centre))
}

fn encoded(body: &[u8]) -> Encoded {
    Encoded { hex: format!("00{}", HEXUPPER.encode(body)), length: body.len() }
}

impl Submit {
    /// As text for the modem, with the service centre that the SIM has stored.
    ///
    /// # Errors
    /// A number or a text that does not fit.
    pub fn encode(&self) -> Result<Encoded, PduError> {
        let mut first = 0x01;
        if self.validity.is_some() {
            first |= 0x10;
        }
        if self.report {
            first |= 0x20;
        }
        if self.concat.is_some() {
            first |= 0x40;
        }
        let mut body = vec![first, 0x00];
        put_address(&mut body, &self.to)?;
        body.extend([0x00, self.content.coding()]);
        body.extend(self.validity);
        put_user_data(&mut body, &self.content, self.concat)?;
        Ok(encoded(&body))
    }

    /// Reads one, as a modem does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(hex: &str) -> Result<Self, PduError> {
        let (octets, centre) = octets(hex)?;
        let mut reader = Reader(&octets[centre..]);
        let first = reader.octet("the first octet")?;
        if first & 0x03 != 0x01 {
            return Err(PduError::Kind(first));
        }
        reader.octet("the reference")?;
        let to = reader.address()?;
        reader.octet("the protocol")?;
        let coding = reader.octet("the coding")?;
        let validity = match first >> 3 & 3 {
            0 => None,
            2 => Some(reader.octet("the validity")?),
            _ => {
                reader.take(7, "the validity")?;
                None
            }
        };
        let (content, concat) = reader.user_data(coding, first & 0x40 != 0)?;
        Ok(Self { to, content, concat, validity, report: first & 0x20 != 0 })
    }
}

impl Deliver {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(hex: &str) -> Result<Self, PduError> {
        let (octets, centre) = octets(hex)?;
        let mut reader = Reader(&octets[centre..]);
        let first = reader.octet("the first octet")?;
        if first & 0x03 != 0x00 {
            return Err(PduError::Kind(first));
        }
        let from = reader.address()?;
        reader.octet("the protocol")?;
        let coding = reader.octet("the coding")?;
        let sent = reader.time()?;
        let (content, concat) = reader.user_data(coding, first & 0x40 != 0)?;
        Ok(Self { from, content, concat, sent })
    }

    /// As text, as a modem gives it. `offset` is the zone in which the service centre tells the time.
    ///
    /// # Errors
    /// A number or a text that does not fit.
    pub fn encode(&self, offset: Offset) -> Result<Encoded, PduError> {
        let mut body = vec![if self.concat.is_some() { 0x44 } else { 0x04 }];
        put_address(&mut body, &self.from)?;
        body.extend([0x00, self.content.coding()]);
        put_time(&mut body, self.sent.unwrap_or(Timestamp::UNIX_EPOCH), offset);
        put_user_data(&mut body, &self.content, self.concat)?;
        Ok(encoded(&body))
    }
}

impl StatusReport {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(hex: &str) -> Result<Self, PduError> {
        let (octets, centre) = octets(hex)?;
        let mut reader = Reader(&octets[centre..]);
        let first = reader.octet("the first octet")?;
        if first & 0x03 != 0x02 {
            return Err(PduError::Kind(first));
        }
        let reference = reader.octet("the reference")?;
        let to = reader.address()?;
        reader.time()?;
        reader.time()?;
        let status = reader.octet("the status")?;
        Ok(Self { reference, to, status })
    }

    /// As text, as a modem gives it.
    ///
    /// # Errors
    /// A number that does not fit.
    pub fn encode(&self, at: Timestamp, offset: Offset) -> Result<Encoded, PduError> {
        let mut body = vec![0x06, self.reference];
        put_address(&mut body, &self.to)?;
        put_time(&mut body, at, offset);
        put_time(&mut body, at, offset);
        body.push(self.status);
        Ok(encoded(&body))
    }
}

#[cfg(test)]
mod tests;
