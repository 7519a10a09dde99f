//! Lines whose devices speak by profiles: the counter bus, strips, voices, screens, keyboards, and whatever a hall has
//! described. A device whose profile is missing or does not suit it is refused by itself; the line goes on without it.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::bail;
use control_protocol::{PositionId, WindowId};
pub(super) use device_drivers::counter::bus::PROFILE as BUS;
use device_drivers::{
    profile::{
        Args, Attached, Kind, LineConfig, Order, Profile, ProfileDriver, TransportKind, shipped::Library,
    },
    reading,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{GUEST, Reach, Started, Surroundings, USUAL_GRADES, Wanted, place};
use crate::{
    connection::{AckForm, Connection, Line, Role},
    devices::panel::Wire,
};

/// Orders that may wait for a line; what is over is dropped, a display is no record.
const ORDERS: usize = 32;

/// A device on a line, as it should be driven.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Device {
    pub(super) position: PositionId,
    pub(super) window: Option<WindowId>,
    pub(super) role: Role,
    pub(super) profile: String,
    pub(super) address: Option<u8>,
    pub(super) ack_form: Option<String>,
    pub(super) grades: BTreeMap<u8, u8>,
    pub(super) text: Option<String>,
    pub(super) values: Args,
}

impl Device {
    /// The device with its line; none where it does not speak by a profile.
    pub(super) fn of(wanted: &Wanted) -> Option<(Line, Self)> {
        let mut device = Self {
            position: wanted.position.clone(),
            window: wanted.window.clone(),
            role: wanted.connection.role(),
            profile: BUS.to_owned(),
            address: None,
            ack_form: None,
            grades: wanted.grades.clone(),
            text: None,
            values: Args::new(),
        };
        match &wanted.connection {
            Connection::BusKeypad { address, .. } => device.address = Some(*address),
            Connection::BusEvaluator { address, ack_form, .. } => {
                device.address = Some(*address);
                device.ack_form = (*ack_form == AckForm::B).then(|| "b".to_owned());
            }
            Connection::Profile { profile, address, ack_form, text, values, .. } => {
                device.profile.clone_from(profile);
                device.address = *address;
                device.ack_form.clone_from(ack_form);
                device.text.clone_from(text);
                device.values.clone_from(values);
            }
            _ => return None,
        }
        Some((wanted.connection.carrier()?, device))
    }

    fn attached(&self, profile: usize, kind: Kind, profiles: &[Arc<Profile>]) -> Attached {
        // The driver wants a map; whether it counts is decided by the register.
        let own = || profiles[profile].grade_map(None).map(|map| map.given());
        let grades = match self.grades.is_empty() {
            false => Some(self.grades.clone()),
            true => own().filter(|map| !map.is_empty()).or_else(|| Some(BTreeMap::from(USUAL_GRADES))),
        };
        Attached {
            profile,
            ack: self.ack_form.clone(),
            grades: grades.filter(|_| kind == Kind::Evaluator),
            ..Attached::new(place(&self.position), kind, self.address)
        }
    }
}

/// A line with what stands on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) line: Line,
    pub(super) devices: Vec<Device>,
    /// What unknown devices of the counter bus are tagged with, while they are listened for.
    pub(super) listening: Option<String>,
}

impl Plan {
    /// A line with nothing on it yet.
    pub(super) fn new(line: Line) -> Self {
        Self { line, devices: Vec::new(), listening: None }
    }
}

/// Why a device cannot be driven by the profile it names on such a line.
pub(super) fn misfit(library: &Library, line: &Line, role: Role, profile: &str) -> Option<String> {
    let Some(found) = library.get(profile) else {
        let known: Vec<&str> = library.iter().map(|p| p.name()).collect();
        return Some(format!("there is no profile {profile}; there are {}", known.join(", ")));
    };
    let reports = found.transport().kind == TransportKind::HidReport;
    if reports != matches!(line, Line::Keyboard { .. }) {
        let way = if reports { "is of a keyboard" } else { "is of a line, and this is a keyboard" };
        return Some(format!("the profile {profile} {way}"));
    }
    let suits = match role {
        Role::Evaluator => found.evaluates(),
        Role::Keypad => found.has_keys(),
        Role::Display => Wire::shows(&found),
        Role::Voice => Wire::speaks(&found),
        _ => true,
    };
    (!suits).then(|| format!("the profile {profile} is not of a {}: choose another", role.name()))
}

/// A line as the engine takes it, with those that it cannot take.
pub(super) struct Prepared {
    pub(super) config: LineConfig,
    pub(super) wires: Vec<(Role, Option<WindowId>, Wire)>,
    pub(super) refused: Vec<(PositionId, String)>,
}

/// Brings the devices of a line together with their profiles; `orders` is where the line will take orders.
pub(super) fn prepare(plan: &Plan, library: &Library, orders: &mpsc::Sender<Order>) -> Prepared {
    let mut profiles: Vec<Arc<Profile>> = Vec::new();
    let mut slot = |profile: Arc<Profile>| {
        profiles.iter().position(|p| p.name() == profile.name()).unwrap_or_else(|| {
            profiles.push(profile);
            profiles.len() - 1
        })
    };
    let mut refused = Vec::new();
    let mut sound = Vec::new();
    for device in &plan.devices {
        let misfit = misfit(library, &plan.line, device.role, &device.profile);
        match (misfit, library.get(&device.profile), device.role.kind()) {
            (None, Some(profile), Some(kind)) => sound.push((device, slot(profile), kind)),
            (why, ..) => refused.push((device.position.clone(), why.unwrap_or_default())),
        }
    }
    let bus = plan.listening.as_ref().and_then(|_| library.get(BUS)).map(&mut slot);
    let mut config = LineConfig::new(profiles, Vec::new());
    if let Line::Serial { baud, .. } = plan.line {
        config.baud = baud;
    }
    let mut wires = Vec::new();
    for (device, profile, kind) in sound {
        let attached = device.attached(profile, kind, &config.profiles);
        config.devices.push(attached);
        if let Err(error) = config.check() {
            config.devices.pop();
            refused.push((device.position.clone(), error.to_string()));
            continue;
        }
        let wire = Wire {
            orders: orders.clone(),
            profile: config.profiles[profile].clone(),
            address: device.address,
            text: device.text.clone(),
            values: device.values.clone(),
        };
        wires.push((device.role, device.window.clone(), wire));
    }
    if let (Some(bus), Some(tag)) = (bus, &plan.listening) {
        guests(&mut config, bus, tag);
    }
    Prepared { config, wires, refused }
}

/// The driver of a line.
///
/// # Errors
/// Nothing on the line can be driven.
pub(super) fn start(plan: &Plan, s: &Surroundings, cancel: CancellationToken) -> anyhow::Result<Started> {
    let (orders_in, orders) = mpsc::channel::<Order>(ORDERS);
    let Prepared { config, wires, mut refused } = prepare(plan, &s.library, &orders_in);
    if config.devices.is_empty() {
        match refused.pop() {
            Some((_, why)) => bail!("{why}"),
            None => bail!("nothing stands on the line"),
        }
    }
    let driver = ProfileDriver::new(config, plan.line.port(), orders)?;
    let counters = driver.counters();
    let (clock, events) = (s.clock.clone(), s.events.clone());
    let reach = Reach::Line { orders: orders_in, wires };
    let run = Box::pin(async move { driver.run(clock, events, cancel).await });
    Ok(Started { run, counters, reach, refused })
}

/// Every address of the bus that nobody has, once as a keypad and once as an evaluator.
fn guests(config: &mut LineConfig, bus: usize, tag: &str) {
    for address in 0..=u8::MAX {
        for (kind, word) in [(Kind::Keypad, "keypad"), (Kind::Evaluator, "evaluator")] {
            let taken = config
                .devices
                .iter()
                .any(|d| d.profile == bus && d.kind == kind && d.address.is_none_or(|own| own == address));
            if !taken {
                let position: reading::PositionId = format!("{GUEST}{tag}#{word}-{address}").into();
                let grades = (kind == Kind::Evaluator).then(|| BTreeMap::from(USUAL_GRADES));
                let guest = Attached::new(position, kind, Some(address));
                config.devices.push(Attached { profile: bus, grades, ..guest });
            }
        }
    }
}
