//! Drivers from the configuration: one task per port.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use anyhow::Context;
use control_protocol::{PositionId, UtcMillis, WindowId};
use device_drivers::{
    attendance::zk::{TerminalConfig, TerminalDriver},
    clock::{MonotonicClock, SystemLocal, SystemMonotonic},
    counter::{self, BusCommand, BusConfig, BusDriver, EvaluatorConfig},
    port::{SerialConfig, SerialPort, TcpConfig, TcpPort},
    reading::{self, DriverEvent},
    ticket::{TapConfig, TicketTap},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{SharedFigures, register::Panel};
use crate::{
    config::{AckForm, Config},
    vault::Vault,
};

/// Readings that may wait for the register; beyond it the drivers wait, and devices say it again.
const READINGS: usize = 256;
/// Commands that may wait for a bus; what is over is dropped, a display is no record.
const COMMANDS: usize = 32;
/// Punches this much older than the newest on record are asked for again: terminals' clocks are set back.
const PUNCH_MARGIN_MS: i64 = 86_400_000;

/// The drivers, and what the register needs of them.
pub struct DriverTasks {
    /// One task per port.
    pub tasks: JoinSet<()>,
    /// What they say.
    pub events: mpsc::Receiver<DriverEvent>,
    /// Window → what can be shown there.
    pub panels: HashMap<WindowId, Panel>,
}

fn place(position: &PositionId) -> reading::PositionId {
    reading::PositionId::from(position.as_str())
}

/// Starts every configured driver. `last_punch` gives the newest punch on record of a terminal.
///
/// # Errors
/// A setting that a driver refuses, or a communication key that cannot be opened.
pub fn start(
    config: &Config,
    vault: &Vault,
    last_punch: &BTreeMap<PositionId, UtcMillis>,
    figures: &SharedFigures,
    cancel: &CancellationToken,
) -> anyhow::Result<DriverTasks> {
    let (events_tx, events) = mpsc::channel(READINGS);
    let clock: Arc<dyn MonotonicClock> = Arc::new(SystemMonotonic);
    let mut tasks = JoinSet::new();
    let mut panels: HashMap<WindowId, Panel> = HashMap::new();
    for bus in &config.buses {
        let ack = match bus.ack_form {
            AckForm::A => counter::AckForm::A,
            AckForm::B => counter::AckForm::B,
        };
        let (commands, orders) = mpsc::channel::<BusCommand>(COMMANDS);
        for keypad in &bus.keypads {
            panels.entry(keypad.window.clone()).or_default().keypad =
                Some((commands.clone(), keypad.address));
        }
        for evaluator in &bus.evaluators {
            let panel = panels.entry(evaluator.window.clone()).or_default();
            panel.evaluator = Some((commands.clone(), evaluator.address));
        }
        let keypad = |k: &crate::config::Keypad| counter::KeypadConfig {
            address: k.address,
            position: place(&k.position),
        };
        let evaluator = |e: &crate::config::Evaluator| EvaluatorConfig {
            address: e.address,
            position: place(&e.position),
            ack,
            grades: e.grades.clone(),
        };
        let settings = BusConfig::new(
            bus.keypads.iter().map(keypad).collect(),
            bus.evaluators.iter().map(evaluator).collect(),
        );
        let port = Box::new(SerialPort::new(SerialConfig::new(&bus.path, bus.baud)));
        let driver = BusDriver::new(settings, port, orders).with_context(|| format!("bus {}", bus.name))?;
        figures.lock().counters.insert(bus.name.clone(), driver.counters());
        let span = tracing::info_span!("bus", name = bus.name);
        tasks.spawn(driver.run(clock.clone(), events_tx.clone(), cancel.clone()).instrument(span));
    }
    for machine in &config.ticket_machines {
        let p = &machine.pattern;
        let patterns = [Some(&p.number), Some(&p.business), p.waiting.as_ref(), p.time.as_ref()];
        let patterns = patterns.into_iter().flatten().cloned().collect();
        let port = SerialPort::new(SerialConfig::new(&machine.path, machine.baud)).keep_waiting_bytes();
        let tap = TicketTap::new(TapConfig::new(place(&machine.position), patterns), Box::new(port))
            .with_context(|| format!("ticket machine {}", machine.name))?;
        figures.lock().counters.insert(machine.name.clone(), tap.counters());
        let span = tracing::info_span!("ticket", name = machine.name);
        tasks.spawn(tap.run(clock.clone(), events_tx.clone(), cancel.clone()).instrument(span));
    }
    for terminal in &config.attendance {
        let key = match &terminal.comm_key_credential {
            None => 0,
            Some(name) => {
                let secret =
                    vault.get(name).with_context(|| format!("attendance terminal {}", terminal.name))?;
                secret.reveal().trim().parse().map_err(|_| {
                    anyhow::anyhow!("credential {name}: the communication key of a terminal is a number")
                })?
            }
        };
        let mut settings = TerminalConfig::new(place(&terminal.position), key);
        settings.log_interval_s = terminal.log_seconds;
        let zone = config.hall.time_zone.clone();
        let since = last_punch
            .get(&terminal.position)
            .map(|at| at.plus(-PUNCH_MARGIN_MS).timestamp().to_zoned(zone.clone()).datetime());
        let port = Box::new(TcpPort::new(TcpConfig { address: terminal.address.to_string() }));
        let driver = TerminalDriver::new(settings, port, Arc::new(SystemLocal(zone))).since(since);
        figures.lock().counters.insert(terminal.name.clone(), driver.counters());
        let span = tracing::info_span!("attendance", name = terminal.name);
        tasks.spawn(driver.run(clock.clone(), events_tx.clone(), cancel.clone()).instrument(span));
    }
    Ok(DriverTasks { tasks, events, panels })
}
