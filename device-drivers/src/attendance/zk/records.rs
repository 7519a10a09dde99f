//! Meaning of the terminal's records: attendance log entries, capacity, live events (docs/reference/devices.md A1.5 to
//! A1.8).

use jiff::civil::DateTime;

use super::packet::{pack_time, unpack_time};

/// One entry of the attendance log, or a live event of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Punch {
    /// The employee's number on the terminal.
    pub employee: String,
    /// Terminal's local time.
    pub at: DateTime,
    /// Verify method.
    pub verify: u8,
    /// Punch state.
    pub state: u8,
}

/// Size of one attendance record, by firmware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordSize {
    /// Oldest firmware: internal user index only.
    Eight = 8,
    /// Numeric user number.
    Sixteen = 16,
    /// User number as text.
    #[default]
    Forty = 40,
}

/// Why a log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Neither 8, 16 nor 40 bytes a record: nothing is guessed.
    #[error("{bytes} bytes for {records} attendance records is not a known record size; begins {start}")]
    Size {
        /// Bytes of all records.
        bytes: usize,
        /// Records the terminal says it has.
        records: u32,
        /// First bytes, hexadecimal.
        start: String,
    },
    /// The reply is shorter than it says.
    #[error("the attendance log is cut short: {got} of {wanted} bytes")]
    Short {
        /// Bytes that came.
        got: usize,
        /// Bytes announced.
        wanted: usize,
    },
}

/// How full the terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Users enrolled.
    pub users: u32,
    /// Attendance records held.
    pub records: u32,
    /// Attendance records it can hold.
    pub record_capacity: u32,
}

impl Capacity {
    /// Reads the reply to command 50; `None` if it is too short.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let at = |offset: usize| Some(u32::from_le_bytes(payload.get(offset..offset + 4)?.try_into().ok()?));
        Some(Self { users: at(16)?, records: at(32)?, record_capacity: at(64)? })
    }
}

/// A log that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Its entries with their bytes, in the terminal's order.
    pub punches: Vec<(Punch, bytes::Bytes)>,
    /// Entries whose time is no date: they cannot be told as punches.
    pub undated: usize,
}

/// Reads a joined bulk reply: `u32le total`, then `records` records.
///
/// # Errors
/// When sizes do not fit.
pub fn read_log(joined: &bytes::Bytes, records: u32) -> Result<Log, RecordError> {
    let Some(head) = joined.get(..4) else {
        return Err(RecordError::Short { got: joined.len(), wanted: 4 });
    };
    let total = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let body = joined.slice(4..);
    if body.len() < total {
        return Err(RecordError::Short { got: body.len(), wanted: total });
    }
    let body = body.slice(..total);
    if total == 0 {
        return Ok(Log::default());
    }
    let refuse = || RecordError::Size {
        bytes: total,
        records,
        start: data_encoding::HEXLOWER.encode(&body[..body.len().min(48)]),
    };
    let count = records as usize;
    if count == 0 || !total.is_multiple_of(count) || !matches!(total / count, 8 | 16 | 40) {
        return Err(refuse());
    }
    let size = total / count;
    let mut log = Log::default();
    for at in (0..total).step_by(size) {
        let record = body.slice(at..at + size);
        match read_record(&record) {
            Some(punch) => log.punches.push((punch, record)),
            None => log.undated += 1,
        }
    }
    Ok(log)
}

fn le32(b: &[u8]) -> u32 {
    b.iter().take(4).rev().fold(0, |n, byte| n << 8 | u32::from(*byte))
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

/// Reads one record of 8, 16 or 40 bytes; `None` for another length or an impossible date.
pub fn read_record(record: &[u8]) -> Option<Punch> {
    let (employee, time, verify, state) = match record.len() {
        8 => (le32(&record[..2]).to_string(), le32(&record[3..7]), record[2], record[7]),
        16 => (le32(&record[..4]).to_string(), le32(&record[4..8]), record[8], record[9]),
        40 => (text(&record[2..26]), le32(&record[27..31]), record[26], record[31]),
        _ => return None,
    };
    Some(Punch { employee, at: unpack_time(time)?, verify, state })
}

/// Writes one record as a terminal keeps it; `uid` is the terminal's internal index. Numbers that are not numeric are
/// written as `uid` in the short forms.
pub fn write_record(punch: &Punch, uid: u16, size: RecordSize) -> Vec<u8> {
    let time = pack_time(punch.at).to_le_bytes();
    let number = punch.employee.parse::<u32>().unwrap_or(u32::from(uid));
    let mut out = Vec::with_capacity(40);
    match size {
        RecordSize::Eight => {
            out.extend((number as u16).to_le_bytes());
            out.push(punch.verify);
            out.extend(time);
            out.push(punch.state);
        }
        RecordSize::Sixteen => {
            out.extend(number.to_le_bytes());
            out.extend(time);
            out.extend([punch.verify, punch.state, 0, 0, 0, 0, 0, 0]);
        }
        RecordSize::Forty => {
            out.extend(uid.to_le_bytes());
            out.extend(padded_number(&punch.employee));
            out.push(punch.verify);
            out.extend(time);
            out.push(punch.state);
            out.extend([0, 0, 0, 0, 0xFF, 0, 0, 0]);
        }
    }
    out
}

fn padded_number(employee: &str) -> [u8; 24] {
    let mut out = [0; 24];
    for (to, from) in out.iter_mut().zip(employee.bytes().take(23)) {
        *to = from;
    }
    out
}

/// Reads the payload of a live attendance event: sizes 10, 12, 14 (short number) and 32 and more (number as text).
/// `None` for any other.
pub fn read_event(payload: &[u8]) -> Option<Punch> {
    let (employee, tail) = match payload.len() {
        10 => (le32(&payload[..2]).to_string(), &payload[2..]),
        12 | 14 => (le32(&payload[..4]).to_string(), &payload[4..]),
        32.. => (text(&payload[..24]), &payload[24..]),
        _ => return None,
    };
    let part = |n: u8| i8::try_from(n).ok();
    let at = DateTime::new(
        2000 + i16::from(tail[2]),
        part(tail[3])?,
        part(tail[4])?,
        part(tail[5])?,
        part(tail[6])?,
        part(tail[7])?,
        0,
    )
    .ok()?;
    Some(Punch { employee, at, verify: tail[0], state: tail[1] })
}

/// Writes the 32-byte form of a live attendance event.
pub fn write_event(punch: &Punch) -> Vec<u8> {
    let mut out = padded_number(&punch.employee).to_vec();
    let part = |n: i8| u8::try_from(n).unwrap_or(0);
    let t = punch.at;
    let year = u8::try_from(i32::from(t.year()) - 2000).unwrap_or(0);
    out.extend([punch.verify, punch.state, year]);
    out.extend([t.month(), t.day(), t.hour(), t.minute(), t.second()].map(part));
    out
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn hex(s: &str) -> Vec<u8> {
        HEXLOWER.decode(s.replace(' ', "").as_bytes()).unwrap()
    }

    fn punch(employee: &str, verify: u8, state: u8) -> Punch {
        Punch { employee: employee.into(), at: date(2024, 3, 5).at(8, 59, 1, 0), verify, state }
    }

    /// Record vectors of docs/reference/devices.md A1.9.
    #[test]
    fn vectors() {
        for (wire, expected, uid, size) in [
            ("e9030000 55d1512e 01 00 0000 00000000", punch("1001", 1, 0), 1, RecordSize::Sixteen),
            ("0100 01 55d1512e 00", punch("1", 1, 0), 1, RecordSize::Eight),
            (
                "01003130303100000000000000000000000000000000000000000155d1512e0000000000ff000000",
                punch("1001", 1, 0),
                1,
                RecordSize::Forty,
            ),
        ] {
            assert_eq!(read_record(&hex(wire)), Some(expected.clone()));
            assert_eq!(write_record(&expected, uid, size), hex(wire));
        }
        let event = hex("3535350000000000000000000000000000000000000000000100180305090102");
        let expected = Punch { at: date(2024, 3, 5).at(9, 1, 2, 0), ..punch("555", 1, 0) };
        assert_eq!(read_event(&event), Some(expected.clone()));
        assert_eq!(write_event(&expected), event);
    }

    #[test]
    fn an_unknown_record_size_is_refused() {
        let mut joined = 24u32.to_le_bytes().to_vec();
        joined.extend([7; 24]);
        assert!(matches!(read_log(&joined.clone().into(), 2), Err(RecordError::Size { bytes: 24, .. })));
        assert!(matches!(read_log(&joined.clone().into(), 0), Err(RecordError::Size { .. })));
        joined.truncate(20);
        assert!(matches!(read_log(&joined.into(), 3), Err(RecordError::Short { got: 16, wanted: 24 })));
        assert_eq!(read_log(&0u32.to_le_bytes().to_vec().into(), 0), Ok(Log::default()));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200), records in 0u32..30) {
            let _ = read_record(&bytes);
            let _ = read_event(&bytes);
            let _ = Capacity::read(&bytes);
            let _ = read_log(&bytes.into(), records);
        }

        #[test]
        fn records_come_back(number in 0u16..=u16::MAX, verify: u8, state: u8, seconds in 0i64..700_000_000) {
            let at = date(2004, 1, 1).at(0, 0, 0, 0) + jiff::SignedDuration::from_secs(seconds);
            let punch = Punch { employee: number.to_string(), at, verify, state };
            for size in [RecordSize::Eight, RecordSize::Sixteen, RecordSize::Forty] {
                prop_assert_eq!(read_record(&write_record(&punch, number, size)), Some(punch.clone()));
            }
            prop_assert_eq!(read_event(&write_event(&punch)), Some(punch));
        }
    }
}
