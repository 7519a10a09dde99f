//! Devices that have their port for themselves: the printer tap, terminals that are dialled, fingerprint modules, ticket
//! printers of ours, modems. Each is its settings and its driver of `device_drivers`, put together.

use std::sync::Arc;

use control_protocol::PositionId;
use device_drivers::{
    attendance::{
        fingerprint::{ModuleConfig, ModuleDriver},
        zk::{TerminalConfig, TerminalDriver, Transport},
    },
    clock::SystemLocal,
    port::{SerialConfig, SerialPort, TcpConfig, TcpPort},
    sms::{SmsConfig, SmsDriver},
    ticket::{PrinterConfig, TapConfig, TicketPrinter, TicketTap},
};
use tokio_util::sync::CancellationToken;

use super::{Reach, Started, Surroundings, place};
use crate::{
    connection::Connection,
    devices::{messages, tickets::Printer},
};

/// Punches this much older than the newest on record are asked for again: terminals' clocks are set back.
const PUNCH_MARGIN_MS: i64 = 86_400_000;

/// The driver of a device.
///
/// # Errors
/// A secret that is not there or is none, a pattern that cannot be read, the journal's.
pub(super) async fn start(
    position: &PositionId,
    connection: &Connection,
    s: &Surroundings,
    cancel: CancellationToken,
) -> anyhow::Result<Started> {
    let (clock, events) = (s.clock.clone(), s.events.clone());
    let local = Arc::new(SystemLocal(s.time_zone.clone()));
    let at = place(position);
    let started = |counters, run| Started { run, counters, reach: Reach::Nothing, refused: Vec::new() };
    Ok(match connection {
        Connection::PrinterTap { port, baud, pattern } => {
            let patterns = pattern.all().cloned().collect();
            let port = SerialPort::new(SerialConfig::new(port, *baud)).keep_waiting_bytes();
            let tap = TicketTap::new(TapConfig::new(at, patterns), Box::new(port))?;
            started(tap.counters(), Box::pin(async move { tap.run(clock, events, cancel).await }))
        }
        Connection::Zk { address, comm_key_credential, log_seconds, transport, set_clock } => {
            let key = s.number(comm_key_credential.as_deref(), "the communication key of a terminal").await?;
            let last = s.journal.last_punch(position.clone()).await?;
            let zone = s.time_zone.clone();
            let since = last.map(|at| at.plus(-PUNCH_MARGIN_MS).timestamp().to_zoned(zone).datetime());
            let mut settings = TerminalConfig::new(at, key.unwrap_or(0));
            settings.log_interval_s = *log_seconds;
            settings.set_clock = *set_clock;
            let driver = match transport {
                Transport::Udp => TerminalDriver::udp(settings, *address, local),
                Transport::Tcp => {
                    let port = TcpPort::new(TcpConfig { address: address.to_string() });
                    TerminalDriver::new(settings, Box::new(port), local)
                }
            };
            let driver = driver.since(since);
            started(driver.counters(), Box::pin(async move { driver.run(clock, events, cancel).await }))
        }
        Connection::Fingerprint { line, family, password_credential, slots, state } => {
            let password = s.number(password_credential.as_deref(), "the password of a module").await?;
            let mut settings = ModuleConfig::new(at, *family, slots.clone());
            settings.password = password.unwrap_or(0);
            settings.state = *state;
            let driver = ModuleDriver::new(settings, line.port(), local);
            started(driver.counters(), Box::pin(async move { driver.run(clock, events, cancel).await }))
        }
        Connection::Printer { line, paper, note } => {
            let mut settings = PrinterConfig::new(at);
            settings.paper = *paper;
            let (driver, handle) = TicketPrinter::new(settings, line.port());
            let printer = Printer { position: position.clone(), handle, paper: *paper, note: note.clone() };
            let counters = driver.counters();
            let run = Box::pin(async move { driver.run(clock, events, cancel).await });
            Started { reach: Reach::Printer(printer), ..started(counters, run) }
        }
        Connection::Modem { line, daily_per_number } => {
            let mut settings = SmsConfig::new(at);
            settings.daily_per_number = *daily_per_number;
            let (driver, desk) = SmsDriver::new(settings, line.port());
            let counters = driver.counters();
            let run = Box::pin(messages::run(driver, clock, events, s.messages.clone(), cancel));
            Started { reach: Reach::Modem(desk), ..started(counters, run) }
        }
        other => anyhow::bail!("{position}: a {} of this kind has no port of its own", other.role().name()),
    })
}
