//! What a client may say to a terminal: the whole of it.
//!
//! There is no value of [`Command`] that clears, restarts, switches off, unlocks, enrols, or reads or writes a
//! fingerprint template, and a session sends nothing else (docs/reference/devices.md A1.2).

use bytes::Bytes;
use jiff::civil::DateTime;

use super::packet::{EVENT_ATTLOG, code, pack_time};

/// A bulk table that may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The attendance log.
    Attendance,
    /// Who is enrolled: number and name are taken from it.
    Users,
}

/// An option that may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The serial number.
    SerialNumber,
    /// What the maker calls the model.
    DeviceName,
}

impl Setting {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::SerialNumber => "~SerialNumber",
            Self::DeviceName => "~DeviceName",
        }
    }
}

/// A command to a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Opens a session.
    Connect,
    /// Proves the comm key.
    Authenticate([u8; 4]),
    /// Ends the session.
    Exit,
    /// Lets people punch.
    Enable,
    /// Makes people wait while the log is read.
    Disable,
    /// Asks for the firmware's version.
    Version,
    /// Asks for an option.
    Read(Setting),
    /// `SDKBuild=1`, for this session; some colour-screen firmware expects it.
    TellSdkBuild,
    /// Asks how full it is.
    FreeSizes,
    /// Asks for its clock.
    Time,
    /// Sets its clock, to whole seconds; followed by [`Refresh`](Self::Refresh).
    SetTime(DateTime),
    /// Makes what was written count.
    Refresh,
    /// Plays one of its voice prompts.
    TestVoice(u32),
    /// Leaves a capture of some earlier client; some models send no events before.
    CancelCapture,
    /// Waits for fingers, which is what a terminal does anyway; some models send no events before.
    StartVerify,
    /// Asks for live attendance events.
    Listen,
    /// Makes a table ready.
    Prepare(Table),
    /// Asks for a part of it.
    Chunk {
        /// Bytes from its start.
        offset: u32,
        /// Bytes wanted.
        size: u32,
    },
    /// Done with the table.
    Free,
}

impl Command {
    /// Its number.
    pub fn code(self) -> u16 {
        match self {
            Self::Connect => code::CONNECT,
            Self::Authenticate(_) => code::AUTH,
            Self::Exit => code::EXIT,
            Self::Enable => code::ENABLE,
            Self::Disable => code::DISABLE,
            Self::Version => code::GET_VERSION,
            Self::Read(_) => code::OPTIONS_RRQ,
            Self::TellSdkBuild => code::OPTIONS_WRQ,
            Self::FreeSizes => code::GET_FREE_SIZES,
            Self::Time => code::GET_TIME,
            Self::SetTime(_) => code::SET_TIME,
            Self::Refresh => code::REFRESH_DATA,
            Self::TestVoice(_) => code::TEST_VOICE,
            Self::CancelCapture => code::CANCEL_CAPTURE,
            Self::StartVerify => code::START_VERIFY,
            Self::Listen => code::REG_EVENT,
            Self::Prepare(_) => code::PREPARE_BUFFER,
            Self::Chunk { .. } => code::READ_BUFFER,
            Self::Free => code::FREE_DATA,
        }
    }

    /// What follows the header.
    pub fn payload(self) -> Bytes {
        match self {
            Self::Authenticate(key) => Bytes::copy_from_slice(&key),
            Self::Read(setting) => Bytes::from(format!("{}\0", setting.name())),
            Self::TellSdkBuild => Bytes::from_static(b"SDKBuild=1\0"),
            Self::SetTime(time) => Bytes::copy_from_slice(&pack_time(time).to_le_bytes()),
            Self::TestVoice(index) => Bytes::copy_from_slice(&index.to_le_bytes()),
            Self::Listen => Bytes::copy_from_slice(&u32::from(EVENT_ATTLOG).to_le_bytes()),
            Self::Prepare(table) => Bytes::copy_from_slice(&selector(table)),
            Self::Chunk { offset, size } => Bytes::from([offset.to_le_bytes(), size.to_le_bytes()].concat()),
            Self::Connect
            | Self::Exit
            | Self::Enable
            | Self::Disable
            | Self::Version
            | Self::FreeSizes
            | Self::Time
            | Self::Refresh
            | Self::CancelCapture
            | Self::StartVerify
            | Self::Free => Bytes::new(),
        }
    }
}

/// `01`, the table's command u16, its file i32, 0 i32 (docs/reference/devices.md A1.6).
fn selector(table: Table) -> [u8; 11] {
    let (command, file) = match table {
        Table::Attendance => (code::TABLE_ATTLOG, 0),
        Table::Users => (code::TABLE_USERS, 5),
    };
    let [low, high] = command.to_le_bytes();
    [1, low, high, file, 0, 0, 0, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use jiff::civil::date;

    use super::*;

    /// Requests of the golden session (docs/reference/devices.md A1.9) and selectors of A1.6.
    #[test]
    fn payloads() {
        for (command, number, payload) in [
            (Command::Authenticate([0x6d, 0xe1, 0x32, 0xb9]), 1102, "6de132b9"),
            (Command::Read(Setting::SerialNumber), 11, "7e53657269616c4e756d62657200"),
            (Command::Prepare(Table::Attendance), 1503, "010d000000000000000000"),
            (Command::Prepare(Table::Users), 1503, "0109000500000000000000"),
            (Command::Chunk { offset: 0xFFC0, size: 0x38C4 }, 1504, "c0ff0000c4380000"),
            (Command::SetTime(date(2024, 3, 5).at(8, 59, 1, 0)), 202, "55d1512e"),
            (Command::Listen, 500, "01000000"),
            (Command::TestVoice(10), 1017, "0a000000"),
        ] {
            assert_eq!(command.code(), number, "{command:?}");
            assert_eq!(HEXLOWER.encode(&command.payload()), payload, "{command:?}");
        }
    }

    /// No number that destroys, restarts, switches off, unlocks, enrols or touches templates (A1.2).
    #[test]
    fn nothing_destructive_can_be_said() {
        let forbidden =
            [7, 8, 10, 14, 15, 18, 19, 20, 31, 33, 61, 88, 110, 134, 1004, 1005, 1006, 1007, 1009, 1101];
        let all = [
            Command::Connect,
            Command::Authenticate([0; 4]),
            Command::Exit,
            Command::Enable,
            Command::Disable,
            Command::Version,
            Command::Read(Setting::DeviceName),
            Command::TellSdkBuild,
            Command::FreeSizes,
            Command::Time,
            Command::SetTime(date(2024, 3, 5).at(8, 59, 1, 0)),
            Command::Refresh,
            Command::TestVoice(0),
            Command::CancelCapture,
            Command::StartVerify,
            Command::Listen,
            Command::Prepare(Table::Attendance),
            Command::Prepare(Table::Users),
            Command::Chunk { offset: 0, size: 0 },
            Command::Free,
        ];
        for command in all {
            assert!(!forbidden.contains(&command.code()), "{command:?}");
        }
    }
}
