//! Keeps this machine's identity good while it runs: the certificate is renewed at half its life, the authorities that the
//! centre names on the command channel are learned, and a certificate of one that is being left is renewed at once. What
//! is on disk is always one whole identity: trust and certificate change in two steps, each of which stands by itself.

use std::{path::PathBuf, sync::Arc, time::Duration};

use control_protocol::{UtcMillis, event::ClockQuality};
use tokio::{sync::watch, time::sleep};

use super::{channel::jitter, connector::Connector, enrol, identity::Identity};
use crate::clock::{Clock, SystemClock};

/// How often the certificate's age is looked at.
const CHECK: Duration = Duration::from_secs(600);
/// The most that is waited before a certificate of an authority that is being left is renewed, and again if it failed: a
/// region's halls learn of the change in the same moment.
const SOON: Duration = Duration::from_secs(10);

/// What it is kept with.
pub struct Upkeep {
    /// Dials the centre; shown each new identity.
    pub connector: Arc<Connector>,
    /// The identity at the start.
    pub identity: Identity,
    /// The data folder.
    pub data: PathBuf,
    /// Time.
    pub clock: Arc<SystemClock>,
    /// The authorities to trust, PEM, as the centre said last.
    pub authorities: watch::Receiver<Option<String>>,
    /// Told whenever others are trusted than before.
    pub trusted: Box<dyn Fn(&Identity) + Send + Sync>,
    /// Told until when the certificate stands.
    pub ends: watch::Sender<UtcMillis>,
    /// Renewals that failed in a row.
    pub failed: u32,
}

impl Upkeep {
    /// Runs for ever.
    pub async fn run(mut self) {
        loop {
            let wait = match self.identity.of_the_signer() {
                Ok(false) => {
                    (SOON * 2u32.saturating_pow(self.failed.min(8))).min(CHECK).mul_f64(0.1 + 0.9 * jitter())
                }
                _ => CHECK.mul_f64(0.5 + jitter() / 2.0),
            };
            tokio::select! {
                () = sleep(wait) => self.renew().await,
                Ok(()) = self.authorities.changed() => self.learn().await,
            }
        }
    }

    async fn learn(&mut self) {
        let Some(pem) = self.authorities.borrow_and_update().clone() else { return };
        let learned = match self.identity.trusting(&pem) {
            Ok(learned) => learned,
            Err(e) => {
                tracing::error!("the authorities that the centre named are not taken over: {e}");
                return;
            }
        };
        match (learned.authorities(), self.identity.authorities()) {
            (Ok(new), Ok(old)) if new == old => return,
            _ => {}
        }
        if self.take(learned).await {
            (self.trusted)(&self.identity);
            tracing::info!("the centre's authorities have changed; this machine trusts those it names now");
        }
    }

    async fn renew(&mut self) {
        // A clock that is known to be wrong says nothing about the certificate's age.
        let wrong = self.clock.quality() == ClockQuality::Wrong;
        let of_the_signer = self.identity.of_the_signer().unwrap_or(true);
        let due = enrol::renewal_due(&self.identity, self.clock.now_utc()).unwrap_or(false);
        if !due || wrong && of_the_signer {
            return;
        }
        let renewed = match enrol::renew(&self.connector, &self.identity).await {
            Ok(renewed) => renewed,
            Err(e) => {
                tracing::warn!("the certificate is due and was not renewed; it is tried again: {e}");
                self.failed += 1;
                return;
            }
        };
        self.failed = 0;
        if !self.take(renewed).await {
            return;
        }
        (self.trusted)(&self.identity);
        if let Ok((_, until)) = self.identity.validity() {
            tracing::info!(%until, "the certificate is renewed");
            self.ends.send_replace(until);
        }
        // Where it is lost the next command channel shows the same.
        if let Err(e) = enrol::confirm(&self.connector).await {
            tracing::debug!("the centre was not told that the certificate is in use: {e}");
        }
    }

    /// Keeps and shows an identity; whether it is shown now.
    async fn take(&mut self, identity: Identity) -> bool {
        let (kept, folder) = (identity.clone(), self.data.clone());
        match tokio::task::spawn_blocking(move || kept.store(&folder)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::error!("the changed identity could not be kept: {e}"),
            Err(e) => tracing::error!("the changed identity could not be kept: {e}"),
        }
        if let Err(e) = self.connector.replace_identity(&identity) {
            tracing::error!("the changed identity cannot be used: {e}");
            return false;
        }
        self.identity = identity;
        true
    }
}
