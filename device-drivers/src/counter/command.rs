//! What the host can say on a counter bus of its own accord.

use super::frame::Frame;

/// What the host can ask of devices on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusCommand {
    /// Invite to rate.
    BeginEvaluation {
        /// The evaluator.
        address: u8,
    },
    /// Show the last three digits of a ticket, on the right.
    ShowTicket {
        /// The keypad.
        address: u8,
        /// Ticket number.
        n: u32,
    },
    /// Show how many wait, on the left (at most 999).
    ShowWaiting {
        /// The keypad.
        address: u8,
        /// People waiting.
        n: u32,
    },
    /// Beep.
    Beep {
        /// The keypad.
        address: u8,
    },
}

impl BusCommand {
    /// The frame on the wire.
    pub fn frame(self) -> Frame {
        let cells = |n: u32| [(n / 100 % 10) as u8, (n / 10 % 10) as u8, (n % 10) as u8];
        match self {
            Self::BeginEvaluation { address } => Frame::new(address, 0x01, [0x0B]),
            Self::ShowTicket { address, n } => {
                let [a, b, c] = cells(n);
                Frame::new(address, 0x02, [0x0A, 0x0A, 0x0A, a, b, c])
            }
            Self::ShowWaiting { address, n } => {
                let [a, b, c] = cells(n.min(999));
                Frame::new(address, 0x02, [a, b, c, 0x0A, 0x0A, 0x0A])
            }
            Self::Beep { address } => Frame::new(address, 0x03, []),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host's vectors of docs/reference/devices.md B2.1.
    #[test]
    fn vectors() {
        for (command, wire) in [
            (BusCommand::ShowTicket { address: 3, n: 123 }, "FF680808680302 0A0A0A010203 2916"),
            (BusCommand::ShowTicket { address: 3, n: 7123 }, "FF680808680302 0A0A0A010203 2916"),
            (BusCommand::ShowWaiting { address: 3, n: 17 }, "FF680808680302 0001070A0A0A 2B16"),
            (BusCommand::Beep { address: 3 }, "FF680202680303 0616"),
            (BusCommand::BeginEvaluation { address: 3 }, "FF680303680301 0B 0F16"),
        ] {
            let hex = data_encoding::HEXUPPER.encode(&command.frame().encode());
            assert_eq!(hex, wire.replace(' ', ""), "{command:?}");
        }
    }
}
