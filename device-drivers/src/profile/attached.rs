//! What stands on a line, as its owner configures it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{Profile, TransportKind};
use crate::reading::PositionId;

/// What a device is for; one address may have one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A caller keypad.
    Keypad,
    /// An evaluator.
    Evaluator,
    /// Anything else: a strip, a screen, a voice.
    Other,
}

/// A device on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its place.
    pub position: PositionId,
    /// Its profile's place in [`LineConfig::profiles`].
    pub profile: usize,
    /// Its address; `None` = alone on the line, or a protocol without addresses.
    pub address: Option<u8>,
    /// What it is for.
    pub kind: Kind,
    /// The form of acknowledgement it expects, where its profile has several.
    pub ack: Option<String>,
    /// Raw byte → grade as a person confirmed it; `None` = the profile's own, unconfirmed map.
    pub grades: Option<BTreeMap<u8, u8>>,
}

impl Attached {
    /// A device of the line's first profile.
    pub fn new(position: PositionId, kind: Kind, address: Option<u8>) -> Self {
        Self { position, profile: 0, address, kind, ack: None, grades: None }
    }
}

/// A line and what stands on it.
#[derive(Clone, Debug)]
pub struct LineConfig {
    /// The protocols spoken on it, usually one.
    pub profiles: Vec<Arc<Profile>>,
    /// The devices.
    pub devices: Vec<Attached>,
    /// Bits per second.
    pub baud: u32,
    /// A silence this long ends a half frame.
    pub gap: Duration,
    /// The adapter hears its own bytes; they are taken out again.
    pub local_echo: bool,
    /// Unreadable frames a minute from which the line counts as degraded.
    pub degraded_from_per_minute: u32,
}

impl LineConfig {
    /// A line of these devices with the usual settings of its first profile.
    pub fn new(profiles: Vec<Arc<Profile>>, devices: Vec<Attached>) -> Self {
        let transport = profiles.first().map(|profile| *profile.transport());
        let gaps = profiles.iter().map(|profile| profile.transport().gap);
        Self {
            baud: transport.map_or(9600, |t| t.baud),
            gap: gaps.max().unwrap_or(Duration::from_millis(50)),
            profiles,
            devices,
            local_echo: false,
            degraded_from_per_minute: 6,
        }
    }

    pub(super) fn turnaround(&self) -> Duration {
        let speaks = self.profiles.iter().filter(|p| p.transport().kind != TransportKind::HidReport);
        speaks.map(|p| p.transport().turnaround).max().unwrap_or_default()
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// A line without devices or profiles, two devices that cannot be told apart, a name that a profile does not know.
    pub fn check(&self) -> Result<(), LineConfigError> {
        if self.devices.is_empty() {
            return Err(LineConfigError::Empty);
        }
        let mut seen = BTreeSet::new();
        for device in &self.devices {
            let profile = self.profiles.get(device.profile).ok_or(LineConfigError::NoProfile)?;
            if !seen.insert((device.profile, device.kind, device.address)) {
                return Err(LineConfigError::Twice {
                    address: device.address,
                    position: device.position.clone(),
                });
            }
            if let Some(form) = &device.ack
                && !profile.ack_forms().contains(form.as_str())
            {
                return Err(LineConfigError::NoAckForm {
                    profile: profile.name().to_owned(),
                    form: form.clone(),
                });
            }
            let says = match device.kind {
                Kind::Evaluator => profile.evaluates(),
                Kind::Keypad => profile.has_keys(),
                Kind::Other => true,
            };
            if !says {
                return Err(LineConfigError::Mute {
                    profile: profile.name().to_owned(),
                    position: device.position.clone(),
                });
            }
            let map = device.grades.as_ref();
            if let Some((raw, grade)) = map.and_then(|map| map.iter().find(|(_, g)| !(1..=5).contains(*g))) {
                return Err(LineConfigError::Grade { raw: *raw, grade: *grade });
            }
        }
        Ok(())
    }
}

/// What is wrong with a [`LineConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineConfigError {
    /// Nothing there.
    #[error("a line needs at least one device")]
    Empty,
    /// A device of a profile that the line does not have.
    #[error("a device on the line has no profile")]
    NoProfile,
    /// Two devices that cannot be told apart.
    #[error(
        "two devices of one kind on the line have the address {address:?} (one is {position}); give each its own"
    )]
    Twice {
        /// The address.
        address: Option<u8>,
        /// The second of them.
        position: PositionId,
    },
    /// A form of acknowledgement that the profile does not know.
    #[error("the profile {profile} has no form of acknowledgement {form}")]
    NoAckForm {
        /// The profile.
        profile: String,
        /// The form.
        form: String,
    },
    /// An evaluator or keypad of a profile that cannot say so.
    #[error("{position}: the profile {profile} is not of such a device; choose another profile")]
    Mute {
        /// The profile.
        profile: String,
        /// The device.
        position: PositionId,
    },
    /// A grade outside the national scale.
    #[error("grade map: raw byte {raw} leads to grade {grade}, but grades are 1 to 5")]
    Grade {
        /// The device's byte.
        raw: u8,
        /// What it was mapped to.
        grade: u8,
    },
}
