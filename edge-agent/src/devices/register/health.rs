//! How devices and cameras are: on the switchboard at once, on record at their changes.

use control_protocol::Happening;
use device_drivers::{clock::Mono, reading::Health};

use super::{CameraEvent, Register, RegisterError, at_of};
use crate::{
    cases::{At, Tagged},
    devices::{DeviceHealth, drivers::GUEST},
};

impl Register {
    /// A device's health: told at its changes; a clock's offset each time.
    pub(super) async fn health(
        &mut self,
        position: &str,
        health: Health,
        at: Mono,
    ) -> Result<(), RegisterError> {
        if position.starts_with(GUEST) {
            return Ok(());
        }
        let at = at_of(self.clock.as_ref(), at);
        let (now, why, bad, happening) = match health {
            Health::Up => (DeviceHealth::Up, None, None, Happening::DeviceUp {}),
            Health::Silent { .. } => (DeviceHealth::Silent, None, None, Happening::DeviceSilent {}),
            Health::Degraded { bad_frames_per_minute: bad } => {
                let happening = Happening::DeviceDegraded { bad_frames_per_minute: bad };
                (DeviceHealth::Degraded, None, Some(bad), happening)
            }
            Health::Down { why } => {
                (DeviceHealth::Down, Some(why.clone()), None, Happening::DeviceDown { why })
            }
            Health::ClockOffset { seconds } => {
                self.board.clock_offset(position, seconds);
                return self.tell(position, at, Happening::DeviceClockOffset { seconds }).await;
            }
        };
        if self.board.health(position, now, why, bad, at.utc) {
            self.tell(position, at, happening).await?;
        }
        Ok(())
    }

    /// An attendance log was read to its end. The punches of it came before, and each is on disk before the next is taken.
    pub(super) async fn log_read(
        &mut self,
        position: &str,
        through: Mono,
        clock_offset: Option<i64>,
    ) -> Result<(), RegisterError> {
        if position.starts_with(GUEST) {
            return Ok(());
        }
        let at = at_of(self.clock.as_ref(), self.clock.now_mono());
        let through = self.clock.utc_of(through);
        self.tell(position, at, Happening::PunchLogRead { through, clock_offset }).await
    }

    async fn tell(&self, position: &str, at: At, happening: Happening) -> Result<(), RegisterError> {
        let window = self.board.place(position).and_then(|p| p.window);
        let device = Some(position.to_owned());
        self.append(self.entries(&[Tagged { at, window, device, case: None, happening }])).await
    }

    /// A camera's change of state: on record, and how its place is now.
    pub(super) async fn camera(&mut self, (camera, happening, at): CameraEvent) -> Result<(), RegisterError> {
        let at = at_of(self.clock.as_ref(), at);
        match &happening {
            Happening::CameraUp { .. } => {
                self.board.health(camera.as_str(), DeviceHealth::Up, None, None, at.utc);
            }
            Happening::CameraDown { why } => {
                self.board.health(camera.as_str(), DeviceHealth::Down, Some(why.clone()), None, at.utc);
            }
            _ => {}
        }
        let event = Tagged {
            at,
            window: self.board.place(camera.as_str()).and_then(|place| place.window),
            device: Some(camera.to_string()),
            case: None,
            happening,
        };
        self.append(self.entries(&[event])).await
    }
}
