//! What the host can say on a counter bus of its own accord.

use crate::profile::Order;

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

impl From<BusCommand> for Order {
    fn from(command: BusCommand) -> Self {
        let (name, address) = match command {
            BusCommand::BeginEvaluation { address } => ("start_evaluation", address),
            BusCommand::ShowTicket { address, .. } => ("show_ticket", address),
            BusCommand::ShowWaiting { address, .. } => ("show_waiting", address),
            BusCommand::Beep { address } => ("beep", address),
        };
        let order = Order::command(name).to(address);
        match command {
            BusCommand::ShowTicket { n, .. } => order.with("n", u64::from(n)),
            BusCommand::ShowWaiting { n, .. } => order.with("n", u64::from(n.min(999))),
            BusCommand::BeginEvaluation { .. } | BusCommand::Beep { .. } => order,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        counter::bus::PROFILE,
        profile::{What, shipped::Library},
    };

    /// The host's vectors of docs/reference/devices.md B2.1.
    #[test]
    fn vectors() {
        let profile = Library::one_shipped(PROFILE).unwrap();
        for (command, wire) in [
            (BusCommand::ShowTicket { address: 3, n: 123 }, "FF680808680302 0A0A0A010203 2916"),
            (BusCommand::ShowTicket { address: 3, n: 7123 }, "FF680808680302 0A0A0A010203 2916"),
            (BusCommand::ShowWaiting { address: 3, n: 17 }, "FF680808680302 0001070A0A0A 2B16"),
            (BusCommand::ShowWaiting { address: 3, n: 1234 }, "FF680808680302 0909090A0A0A 3E16"),
            (BusCommand::Beep { address: 3 }, "FF680202680303 0616"),
            (BusCommand::BeginEvaluation { address: 3 }, "FF680303680301 0B 0F16"),
        ] {
            let order = Order::from(command);
            let What::Command(name) = &order.what else { panic!("{order:?}") };
            let hex = data_encoding::HEXUPPER.encode(&profile.encode(name, &order.args).unwrap());
            assert_eq!(hex, wire.replace(' ', ""), "{command:?}");
        }
    }
}
