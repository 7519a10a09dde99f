//! The driver of a line with nothing but one counter bus: several keypads and evaluators by the shipped `FF 68` profile. A line
//! that other profiles share is [`crate::profile::ProfileDriver`]'s.
//!
//! Owns what the bus's configuration means to the engine ([`crate::profile::ProfileDriver`]), which keeps the turns,
//! suppresses repetitions and acknowledges what is durable.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    command::BusCommand,
    config::{AckForm, BusConfig, BusConfigError},
};
use crate::{
    clock::MonotonicClock,
    port::Port,
    profile::{Attached, Kind, LineConfig, ProfileDriver, shipped::Library},
    reading::{Counters, DriverEvent},
};

/// The name of the profile.
pub const PROFILE: &str = "ff68-counter-bus";
/// Bytes of a frame beyond its LEN.
const AROUND: usize = 7;

/// The driver.
pub struct BusDriver(ProfileDriver<BusCommand>);

impl BusDriver {
    /// A driver of this bus on this port. `commands` is how the owner speaks to the devices; it may be closed.
    ///
    /// # Errors
    /// What [`BusConfig::check`] finds.
    pub fn new(
        config: BusConfig,
        port: Box<dyn Port>,
        commands: mpsc::Receiver<BusCommand>,
    ) -> Result<Self, BusConfigError> {
        config.check()?;
        let profile = Library::one_shipped(PROFILE)?.with_longest(usize::from(config.max_len) + AROUND);
        let keypads = config
            .keypads
            .into_iter()
            .map(|keypad| Attached::new(keypad.position, Kind::Keypad, Some(keypad.address)));
        let evaluators = config.evaluators.into_iter().map(|evaluator| Attached {
            ack: match evaluator.ack {
                AckForm::A => None,
                AckForm::B => Some("b".to_owned()),
            },
            grades: Some(evaluator.grades),
            ..Attached::new(evaluator.position, Kind::Evaluator, Some(evaluator.address))
        });
        let mut line = LineConfig::new(vec![Arc::new(profile)], keypads.chain(evaluators).collect());
        line.gap = Duration::from_millis(config.gap_ms);
        line.local_echo = config.local_echo;
        line.degraded_from_per_minute = config.degraded_from_per_minute;
        Ok(Self(ProfileDriver::new(line, port, commands)?))
    }

    /// Its counts.
    pub fn counters(&self) -> Arc<Counters> {
        self.0.counters()
    }

    /// Runs until cancelled, or until nobody listens to `events` any more.
    pub async fn run(
        self,
        clock: Arc<dyn MonotonicClock>,
        events: mpsc::Sender<DriverEvent>,
        cancel: CancellationToken,
    ) {
        self.0.run(clock, events, cancel).await;
    }
}

#[cfg(test)]
mod tests;
