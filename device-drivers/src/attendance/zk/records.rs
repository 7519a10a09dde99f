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
    /// Neither 8, 16 nor 40 bytes a record (28 nor 72 of a user): nothing is guessed.
    #[error("{bytes} bytes for {records} records is not a known record size; begins {start}")]
    Size {
        /// Bytes of all records.
        bytes: usize,
        /// Records the terminal says it has.
        records: u32,
        /// First bytes, hexadecimal.
        start: String,
    },
    /// The reply is shorter than it says.
    #[error("the table is cut short: {got} of {wanted} bytes")]
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
    /// Users it can hold.
    pub user_capacity: u32,
    /// Attendance records it can hold.
    pub record_capacity: u32,
}

impl Capacity {
    /// Reads the reply to command 50; `None` if it is too short.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let at = |offset: usize| Some(u32::from_le_bytes(payload.get(offset..offset + 4)?.try_into().ok()?));
        Some(Self { users: at(16)?, records: at(32)?, user_capacity: at(60)?, record_capacity: at(64)? })
    }
}

/// A log that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// Its entries with their bytes, in the terminal's order.
    pub punches: Vec<(Punch, bytes::Bytes)>,
    /// Entries whose time is no date: they cannot be told as punches.
    pub undated: usize,
    /// The records were of 8 bytes, which name people by the terminal's internal index and not by their number.
    pub by_index: bool,
    /// Which share of the terminal's memory is in use, if it says.
    pub fullness: Option<f64>,
}

/// The size of one record and the records, of a joined bulk reply: `u32le total`, then `count` records of one of `sizes`.
pub(super) fn rows(
    joined: &bytes::Bytes,
    count: u32,
    sizes: &[usize],
) -> Result<(usize, bytes::Bytes), RecordError> {
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
        return Ok((1, body));
    }
    let size = total / (count as usize).max(1);
    if count == 0 || size * count as usize != total || !sizes.contains(&size) {
        return Err(RecordError::Size {
            bytes: total,
            records: count,
            start: data_encoding::HEXLOWER.encode(&body[..body.len().min(48)]),
        });
    }
    Ok((size, body))
}

/// Reads a joined bulk reply: `u32le total`, then `records` records.
///
/// # Errors
/// When sizes do not fit.
pub fn read_log(joined: &bytes::Bytes, records: u32) -> Result<Log, RecordError> {
    let (size, body) = rows(joined, records, &[8, 16, 40])?;
    let mut log = Log { by_index: size == 8, ..Log::default() };
    for at in (0..body.len()).step_by(size) {
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

pub(super) fn text(bytes: &[u8]) -> String {
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

/// Writes one record as a terminal keeps it; `uid` is the terminal's internal index, which is all that the 8-byte form has.
/// A number that is not numeric is written as `uid` in the 16-byte form.
pub fn write_record(punch: &Punch, uid: u16, size: RecordSize) -> Vec<u8> {
    let time = pack_time(punch.at).to_le_bytes();
    let number = punch.employee.parse::<u32>().unwrap_or(u32::from(uid));
    let mut out = Vec::with_capacity(40);
    match size {
        RecordSize::Eight => {
            out.extend(uid.to_le_bytes());
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

pub(super) fn padded_number(employee: &str) -> [u8; 24] {
    let mut out = [0; 24];
    for (to, from) in out.iter_mut().zip(employee.bytes().take(23)) {
        *to = from;
    }
    out
}

/// Reads the payload of a live attendance event: 10 or 14 bytes (number u16), 12 (u32), 32, 36, 37 and 52 (number as text), or
/// several of 52. Empty for any other.
pub fn read_events(payload: &[u8]) -> Vec<Punch> {
    if payload.len() > 52 && payload.len().is_multiple_of(52) {
        return payload.chunks_exact(52).filter_map(read_event).collect();
    }
    read_event(payload).into_iter().collect()
}

fn read_event(payload: &[u8]) -> Option<Punch> {
    let (employee, tail) = match payload.len() {
        10 | 14 => (le32(&payload[..2]).to_string(), &payload[2..]),
        12 => (le32(&payload[..4]).to_string(), &payload[4..]),
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
        assert_eq!(read_events(&event), vec![expected.clone()]);
        assert_eq!(write_event(&expected), event);
    }

    /// Every size of docs/reference/devices.md A1.8.
    #[test]
    fn event_sizes() {
        let expected = punch("555", 1, 0);
        let tail = hex("0100180305083b01");
        let short = |number: &[u8], extra: usize| [number, &tail, &vec![0xEE; extra]].concat();
        let long = |extra: usize| [write_event(&expected), vec![0xEE; extra]].concat();
        for payload in [
            short(&[0x2B, 2], 0),
            short(&[0x2B, 2, 0, 0], 0),
            short(&[0x2B, 2], 4),
            long(0),
            long(4),
            long(5),
            long(20),
        ] {
            assert_eq!(read_events(&payload), vec![expected.clone()], "{} bytes", payload.len());
        }
        assert_eq!(read_events(&[long(20), long(20)].concat()).len(), 2);
        assert_eq!(read_events(&long(0)[..31]), []);
    }

    /// The capacity fields of docs/reference/devices.md A1.5.
    #[test]
    fn capacity() {
        let mut payload = vec![0u8; 92];
        for (at, value) in [(16, 120u32), (32, 4500), (60, 3000), (64, 100_000)] {
            payload[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let expected = Capacity { users: 120, records: 4500, user_capacity: 3000, record_capacity: 100_000 };
        assert_eq!(Capacity::read(&payload), Some(expected));
        assert_eq!(Capacity::read(&payload[..80]), Some(expected));
        assert_eq!(Capacity::read(&payload[..60]), None);
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
            let _ = read_events(&bytes);
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
            prop_assert_eq!(read_events(&write_event(&punch)), [punch]);
        }
    }
}
