//! Short visits to a terminal that no driver has: what is it, make it speak, who is enrolled.
//!
//! A terminal talks to one client at a time: a position's driver must be stopped first. Each visit ends by itself.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{
    command::Setting,
    link::TerminalAddress,
    session::{Session, SessionError, SessionTimeouts},
    users::{NameEncoding, User},
};
use crate::clock::{LocalClock, SystemMonotonic};

/// A visit that reads no table may take so long in all.
const VISIT: Duration = Duration::from_secs(20);
/// One that does.
const READING: Duration = Duration::from_secs(90);

/// Whom to visit, and with what.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Where it is.
    pub address: TerminalAddress,
    /// Its comm key, if one is known.
    pub comm_key: Option<u32>,
    /// How long to wait for it.
    pub timeouts: SessionTimeouts,
}

/// What a terminal says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// It asks for a comm key and none was given; then nothing else is known.
    pub needs_key: bool,
    /// Its serial number.
    pub serial: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The firmware's version.
    pub firmware: Option<String>,
    /// Attendance records held.
    pub records: Option<u32>,
    /// Attendance records it can hold.
    pub record_capacity: Option<u32>,
    /// Users enrolled.
    pub users: Option<u32>,
    /// Its clock minus the hall's, in seconds; `None` also if it shows no possible date.
    pub clock_offset_s: Option<i64>,
}

impl Visit {
    /// To this terminal, with the customary timeouts.
    pub fn new(address: TerminalAddress, comm_key: Option<u32>) -> Self {
        Self { address, comm_key, timeouts: SessionTimeouts::default() }
    }

    async fn begin(&self) -> Result<Session, SessionError> {
        let link = self.address.dial(self.timeouts.request).await?;
        Session::connect(link, self.comm_key, self.timeouts, Arc::new(SystemMonotonic)).await
    }
}

async fn within<T>(
    limit: Duration,
    visit: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    // Dropping a visit in the middle enables the terminal and ends the session.
    tokio::time::timeout(limit, visit).await.map_err(|_elapsed| SessionError::Timeout(limit))?
}

/// Asks a terminal what it is. One that wants a comm key and is given none says just that.
///
/// # Errors
/// When nothing answers there, or what answers is no such terminal, or the key is wrong.
pub async fn probe(visit: &Visit, local: &dyn LocalClock) -> Result<Probe, SessionError> {
    within(VISIT, async {
        let mut session = match visit.begin().await {
            Err(SessionError::KeyNeeded) => return Ok(Probe { needs_key: true, ..Probe::default() }),
            begun => begun?,
        };
        let serial = session.setting(Setting::SerialNumber).await?;
        let model = session.setting(Setting::DeviceName).await?;
        let firmware = session.version().await?;
        let capacity = match session.capacity().await {
            Ok(capacity) => Some(capacity),
            Err(SessionError::Refused { .. } | SessionError::Nonsense(_)) => None,
            Err(error) => return Err(error),
        };
        let shown = session.time().await?;
        let clock_offset_s = shown.map(|shown| super::driver::offset_seconds(shown, local.local_now()));
        session.exit().await;
        Ok(Probe {
            needs_key: false,
            serial,
            model,
            firmware,
            records: capacity.map(|c| c.records),
            record_capacity: capacity.map(|c| c.record_capacity),
            users: capacity.map(|c| c.users),
            clock_offset_s,
        })
    })
    .await
}

/// Makes the terminal play a voice prompt (0 is "thank you" on most), so that a person in front of it knows which it is.
///
/// # Errors
/// When nothing answers there, it refuses, or the key is missing or wrong.
pub async fn test_voice(visit: &Visit, index: u32) -> Result<(), SessionError> {
    within(VISIT, async {
        let mut session = visit.begin().await?;
        let played = session.test_voice(index).await;
        session.exit().await;
        played
    })
    .await
}

/// Who is enrolled: number and name only. People wait at the terminal while it is read, about a second.
///
/// # Errors
/// When nothing answers there, the list cannot be understood, or the key is missing or wrong.
pub async fn read_users(visit: &Visit, encoding: NameEncoding) -> Result<Vec<User>, SessionError> {
    within(READING, async {
        let mut session = visit.begin().await?;
        let users = session.read_users(encoding).await;
        session.exit().await;
        users
    })
    .await
}
