//! The ticket machine: what it prints, read from its printer line; and printers of our own.
//!
//! Owns ESC/POS both ways ([`escpos`] reads, [`mod@print`] writes), the tap that turns another machine's slips into tickets
//! ([`tap`], which only listens), and the driver that prints ours ([`printer`]) with what a printer says of itself
//! ([`status`]) and how a ticket looks ([`slip`]).

pub mod escpos;
pub mod print;
pub mod printer;
pub mod slip;
pub mod status;
pub mod tap;

pub use printer::{NotPrinted, Printed, PrinterConfig, PrinterHandle, TicketPrinter};
pub use slip::{PaperWidth, TicketSlip};
pub use tap::{TapConfig, TapConfigError, TicketTap};
