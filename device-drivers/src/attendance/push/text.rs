//! The text of the protocol: attendance lines, start-up options, orders, results (docs/reference/devices.md A2.1 to A2.3).

use jiff::civil::DateTime;

use crate::attendance::zk::{packet::pack_time, records::Punch};

/// Longest employee number.
const PIN: usize = 24;
/// The version of the protocol that is spoken.
pub const VERSION: Version = Version([2, 4, 1]);

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u16; 3]);

impl Version {
    /// What a terminal speaks that does not say.
    pub const UNSAID: Self = Self([2, 2, 14]);

    /// Reads `2.4.1`; `None` for anything else.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(|part| part.parse::<u16>());
        let version = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next().unwrap_or(Ok(0)).ok()?];
        parts.next().is_none().then_some(Self(version))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// The lines of a body: their number is what the terminal wants to hear.
pub fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty())
}

/// Reads an attendance line: employee, local time, state, verify method, and whatever newer firmware adds. `None` if it is none.
pub fn read_punch(line: &[u8]) -> Option<Punch> {
    let mut columns = line.split(|b| *b == b'\t').map(|column| std::str::from_utf8(column).map(str::trim));
    let employee = columns.next()?.ok()?;
    let printable = employee.bytes().all(|b| b.is_ascii_graphic());
    if employee.is_empty() || employee.len() > PIN || !printable {
        return None;
    }
    let at = columns.next()?.ok()?;
    if at.len() != 19 {
        return None;
    }
    let at: DateTime = at.parse().ok()?;
    let state = columns.next()?.ok()?.parse().ok()?;
    let verify: u16 = columns.next()?.ok()?.parse().ok()?;
    Some(Punch { employee: employee.to_owned(), at, verify: verify_method(verify), state })
}

/// PUSH numbers the ways to verify otherwise than port 4370 does; readings have the latter's numbers, and 255 for what those do
/// not have.
fn verify_method(push: u16) -> u8 {
    match push {
        1 => 1,
        2 | 3 => 0,
        4 => 2,
        15 => 15,
        25 => 25,
        _ => u8::MAX,
    }
}

/// What a terminal is told at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// Its serial number.
    pub serial: &'a str,
    /// Where to go on in the attendance log; `None`: from the beginning.
    pub stamp: Option<&'a str>,
    /// Seconds after which it tries again when nobody answers.
    pub error_delay_s: u16,
    /// Seconds between two questions.
    pub delay_s: u16,
    /// The hall's time zone, minutes east of Greenwich.
    pub zone_minutes: i32,
    /// The lower of what it and what we speak.
    pub version: Version,
}

impl Options<'_> {
    /// The text. Nothing but the attendance log is asked for: no photos, no users, no fingerprints.
    pub fn write(&self) -> String {
        let zone = if self.zone_minutes % 60 == 0 { self.zone_minutes / 60 } else { self.zone_minutes };
        format!(
            "GET OPTION FROM: {serial}\nATTLOGStamp={stamp}\nOPERLOGStamp=9999\nATTPHOTOStamp=9999\n\
             ErrorDelay={error}\nDelay={delay}\nTransTimes=00:00;14:05\nTransInterval=1\n\
             TransFlag=TransData AttLog\nTimeZone={zone}\nRealtime=1\nEncrypt=None\n\
             ServerVer={VERSION}\nPushProtVer={version}\n",
            serial = self.serial,
            stamp = self.stamp.unwrap_or("None"),
            error = self.error_delay_s,
            delay = self.delay_s,
            version = self.version,
        )
    }
}

/// What a terminal may be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Set the clock, as the packed number of port 4370.
    SetClockPacked(DateTime),
    /// Set the clock, as text.
    SetClockText(DateTime),
}

impl Order {
    /// `C:<id>:<command>`; the id has at most 16 letters and digits.
    pub fn write(self, id: &str) -> String {
        match self {
            Self::SetClockPacked(time) => format!("C:{id}:SET OPTION DateTime={}\n", pack_time(time)),
            Self::SetClockText(time) => {
                format!("C:{id}:SET OPTION DateTime={}\n", time.strftime("%Y-%m-%d %H:%M:%S"))
            }
        }
    }
}

/// What a terminal says of an order: `ID=..&Return=..&CMD=..`; `None` if it is none.
pub fn read_result(line: &[u8]) -> Option<(String, i32)> {
    let fields = url::form_urlencoded::parse(line);
    let (mut id, mut code) = (None, None);
    for (name, value) in fields {
        match name.as_ref() {
            "ID" if value.len() <= 16 && value.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                id = Some(value.into_owned());
            }
            "Return" => code = value.trim().parse().ok(),
            _ => {}
        }
    }
    Some((id?, code?))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn punch(verify: u8) -> Punch {
        Punch { employee: "1001".into(), at: date(2024, 3, 5).at(8, 59, 1, 0), verify, state: 0 }
    }

    /// The line of docs/reference/devices.md A2.2, and those of older and newer firmware.
    #[test]
    fn attendance_lines() {
        for line in [
            "1001\t2024-03-05 08:59:01\t0\t1\t0\t0\t0",
            "1001\t2024-03-05 08:59:01\t0\t1",
            "1001\t2024-03-05 08:59:01\t0\t1\t0\t0",
            "1001\t2024-03-05 08:59:01\t0\t1\t0\t0\t0\t0\t36.5\t97.7\t28800\teyJhIjoxfQ==",
        ] {
            assert_eq!(read_punch(line.as_bytes()), Some(punch(1)), "{line}");
        }
        for line in [
            "",
            "1001\t2024-03-05 08:59:01\t0",
            "\t2024-03-05 08:59:01\t0\t1",
            "1001\t2024-02-31 08:59:01\t0\t1",
            "1001\t2024-03-05\t0\t1",
            "1001\t2024-03-05 08:59:01\tin\t1",
            "USER PIN=1\tName=\t0\t1",
        ] {
            assert_eq!(read_punch(line.as_bytes()), None, "{line}");
        }
        let body = b"1001\t2024-03-05 08:59:01\t0\t1\r\n\n1002\t2024-03-05 08:59:02\t1\t15\n";
        assert_eq!(lines(body).filter_map(read_punch).count(), 2);
    }

    /// Verify codes of docs/reference/devices.md A2.2.
    #[test]
    fn ways_to_verify() {
        for (push, ours) in
            [(0, 255), (1, 1), (2, 0), (3, 0), (4, 2), (5, 255), (15, 15), (25, 25), (200, 255)]
        {
            let line = format!("1001\t2024-03-05 08:59:01\t0\t{push}");
            assert_eq!(read_punch(line.as_bytes()), Some(punch(ours)), "{push}");
        }
    }

    /// The start-up answer of docs/reference/devices.md A2.1, less what is not asked for.
    #[test]
    fn options() {
        let options = Options {
            serial: "CDEMO0001",
            stamp: None,
            error_delay_s: 60,
            delay_s: 10,
            zone_minutes: 480,
            version: VERSION,
        };
        let text = options.write();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "GET OPTION FROM: CDEMO0001",
                "ATTLOGStamp=None",
                "OPERLOGStamp=9999",
                "ATTPHOTOStamp=9999",
                "ErrorDelay=60",
                "Delay=10",
                "TransTimes=00:00;14:05",
                "TransInterval=1",
                "TransFlag=TransData AttLog",
                "TimeZone=8",
                "Realtime=1",
                "Encrypt=None",
                "ServerVer=2.4.1",
                "PushProtVer=2.4.1",
            ]
        );
        assert!(Options { zone_minutes: 330, ..options }.write().contains("TimeZone=330\n"));
        assert!(Options { stamp: Some("82"), ..options }.write().contains("ATTLOGStamp=82\n"));
    }

    #[test]
    fn versions() {
        assert_eq!(Version::read("2.4.1"), Some(VERSION));
        assert_eq!(Version::read("2.32"), Some(Version([2, 32, 0])));
        assert!(Version::read("2.2.14").unwrap() < VERSION);
        for text in ["", "2", "2.x", "2.4.1.1", "-1.0"] {
            assert_eq!(Version::read(text), None, "{text}");
        }
    }

    /// Orders and results of docs/reference/devices.md A2.3.
    #[test]
    fn orders_and_results() {
        let time = date(2024, 3, 5).at(8, 59, 1, 0);
        assert_eq!(Order::SetClockPacked(time).write("T1"), "C:T1:SET OPTION DateTime=777113941\n");
        assert_eq!(Order::SetClockText(time).write("T1"), "C:T1:SET OPTION DateTime=2024-03-05 08:59:01\n");
        assert_eq!(read_result(b"ID=T1&Return=0&CMD=SET OPTION"), Some(("T1".into(), 0)));
        assert_eq!(read_result(b"ID=T1&Return=-1002&CMD=SET"), Some(("T1".into(), -1002)));
        assert_eq!(read_result(b"ID=../etc&Return=0"), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,20}") {
            let count = lines(&bytes).count();
            prop_assert!(lines(&bytes).filter_map(read_punch).count() <= count);
            let _ = read_result(&bytes);
            let _ = Version::read(&text);
        }

        #[test]
        fn lines_come_back(number in 1u32.., seconds in 0i64..700_000_000, state: u8) {
            let at = date(2004, 1, 1).at(0, 0, 0, 0) + jiff::SignedDuration::from_secs(seconds);
            let line = format!("{number}\t{}\t{state}\t1", at.strftime("%Y-%m-%d %H:%M:%S"));
            let expected = Punch { employee: number.to_string(), at, verify: 1, state };
            prop_assert_eq!(read_punch(line.as_bytes()), Some(expected));
        }
    }
}
