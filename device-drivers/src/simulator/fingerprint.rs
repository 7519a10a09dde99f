//! Fingerprint modules on a serial line, both families (docs/reference/devices.md A3).
//!
//! A finger is a number; a module knows which finger is in which slot. Answers everything that enrolling and identifying
//! need, so that other people's libraries can be tried on it; it has no templates or images of its own to give.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::attendance::fingerprint::{Family, aa55, ef01};

/// A piece of a template or image and its last one (`EF 01`). Drivers know neither: they ask for none.
const DATA: u8 = 2;
const LAST_DATA: u8 = 8;

/// A module as delivered.
#[derive(Clone, Copy, Debug)]
pub struct ModuleSetup {
    /// Its protocol.
    pub family: Family,
    /// Its address (`EF 01` only).
    pub address: u32,
    /// Its password (`EF 01` only).
    pub password: u32,
    /// Slots.
    pub capacity: u16,
}

impl ModuleSetup {
    /// Of this family, as delivered.
    pub fn new(family: Family) -> Self {
        let capacity = if family == Family::Ef01 { 300 } else { 200 };
        Self { family, address: ef01::DEFAULT_ADDRESS, password: 0, capacity }
    }
}

/// A misbehaviour to order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next answer has a wrong checksum.
    BadChecksum,
    /// The next answer comes twice, glued together.
    Duplicate,
    /// The next question is not answered.
    Drop,
    /// Nothing is answered while `true`.
    Silence(bool),
    /// The next answer comes a byte at a time.
    Split,
    /// Bytes that mean nothing come before the next answer.
    Noise,
    /// The next picture of a finger is too messy.
    Messy,
    /// Before the next answer comes a template that nobody asked for, as packets of data.
    Template(&'static [u8]),
}

#[derive(Default)]
struct State {
    slots: BTreeMap<u16, u32>,
    finger: Option<u32>,
    image: Option<u32>,
    /// The two character buffers.
    features: [Option<u32>; 2],
    light: bool,
    /// Slot and looks of an enrolment under way (`55 AA`).
    enrolling: Option<(u16, Option<u32>)>,
    faults: Vec<Fault>,
    silent: bool,
    asked: u64,
    identified: u64,
}

/// A handle on a simulated module; clones are the same module.
#[derive(Clone)]
pub struct FingerprintModule {
    setup: ModuleSetup,
    state: Arc<Mutex<State>>,
    hang_up: Arc<Notify>,
}

impl FingerprintModule {
    /// A module that knows nobody.
    pub fn new(setup: ModuleSetup) -> Self {
        Self { setup, state: Arc::default(), hang_up: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a finger into a slot, as if it had been enrolled.
    pub fn enrol(&self, slot: u16, finger: u32) {
        self.state().slots.insert(slot, finger);
    }

    /// Lays a finger on, or lifts it.
    pub fn lay(&self, finger: Option<u32>) {
        self.state().finger = finger;
    }

    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        let mut state = self.state();
        match fault {
            Fault::Silence(on) => state.silent = on,
            armed => state.faults.push(armed),
        }
    }

    /// Ends the present [`serve`](Self::serve), as if the plug were pulled.
    pub fn unplug(&self) {
        self.hang_up.notify_one();
    }

    /// Slots in use.
    pub fn slots(&self) -> Vec<u16> {
        self.state().slots.keys().copied().collect()
    }

    /// Questions so far.
    pub fn asked(&self) -> u64 {
        self.state().asked
    }

    /// Searches for a finger so far.
    pub fn identified(&self) -> u64 {
        self.state().identified
    }

    /// Orders that were not met yet.
    pub fn faults_left(&self) -> usize {
        self.state().faults.len()
    }

    /// Whether its light is on (`55 AA`).
    pub fn light(&self) -> bool {
        self.state().light
    }

    /// Answers on this line until it ends, is unplugged, or cancelled.
    ///
    /// # Errors
    /// The line's.
    pub async fn serve(
        &self,
        line: &mut (impl AsyncRead + AsyncWrite + Unpin),
        cancel: &CancellationToken,
    ) -> io::Result<()> {
        let mut ef01 = ef01::Decoder::default();
        let mut aa55 = aa55::Decoder::default();
        let mut buffer = [0u8; 256];
        loop {
            let n = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = self.hang_up.notified() => return Ok(()),
                read = line.read(&mut buffer) => read?,
            };
            if n == 0 {
                return Ok(());
            }
            let mut answers = Vec::new();
            match self.setup.family {
                Family::Ef01 => {
                    ef01.push(&buffer[..n]);
                    while let Some(packet) = ef01.next_packet() {
                        if packet.address == self.setup.address && packet.kind == ef01::kind::COMMAND {
                            let answer = self.state().ef01(&self.setup, &packet.payload);
                            let answer = ef01::Packet::new(packet.address, ef01::kind::ACKNOWLEDGE, answer);
                            answers.push(answer.encode());
                        }
                    }
                }
                Family::Aa55 => {
                    aa55.push(&buffer[..n]);
                    while let Some(packet) = aa55.next_packet() {
                        let answer = self.state().aa55(&self.setup, packet);
                        let (command, parameter) = match answer {
                            Ok(parameter) => (aa55::code::ACK, parameter),
                            Err(why) => (aa55::code::NACK, why),
                        };
                        answers.push(aa55::Packet { command, parameter }.encode().to_vec());
                    }
                }
            }
            for answer in answers {
                self.send(line, answer).await?;
            }
        }
    }

    /// A template as the family sends it after it was asked for one.
    fn template(&self, bytes: &[u8]) -> Vec<u8> {
        match self.setup.family {
            Family::Ef01 => {
                let packet =
                    |kind, part: &[u8]| ef01::Packet::new(self.setup.address, kind, part.to_vec()).encode();
                let (first, last) = bytes.split_at(bytes.len() / 2);
                [packet(DATA, first), packet(LAST_DATA, last)].concat()
            }
            Family::Aa55 => {
                let mut packet = [&[0x5A, 0xA5, 0x01, 0x00][..], bytes].concat();
                let sum = packet.iter().fold(0u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
                packet.extend(sum.to_le_bytes());
                packet
            }
        }
    }

    async fn send(&self, line: &mut (impl AsyncWrite + Unpin), mut wire: Vec<u8>) -> io::Result<()> {
        let fault = {
            let mut state = self.state();
            state.asked += 1;
            if state.silent {
                return Ok(());
            }
            let at = state.faults.iter().position(|f| *f != Fault::Messy);
            at.map(|at| state.faults.remove(at))
        };
        match fault {
            Some(Fault::Drop) => return Ok(()),
            Some(Fault::BadChecksum) => {
                if let Some(last) = wire.last_mut() {
                    *last ^= 0xFF;
                }
            }
            Some(Fault::Duplicate) => wire.extend(wire.clone()),
            Some(Fault::Template(bytes)) => wire = [self.template(bytes), wire].concat(),
            Some(Fault::Noise) => wire = [&[0x00, 0xEF, 0x55, 0xAA, 0x13, 0xFF][..], &wire].concat(),
            Some(Fault::Split) => {
                for byte in wire {
                    line.write_all(&[byte]).await?;
                    tokio::task::yield_now().await;
                }
                return Ok(());
            }
            _ => {}
        }
        line.write_all(&wire).await
    }
}

impl State {
    fn messy(&mut self) -> bool {
        let at = self.faults.iter().position(|f| *f == Fault::Messy);
        at.map(|at| self.faults.remove(at)).is_some()
    }

    fn ef01(&mut self, setup: &ModuleSetup, payload: &[u8]) -> Vec<u8> {
        let number = |at: usize| payload.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
        let in_range = |page: u16| page < setup.capacity;
        let Some(instruction) = payload.first() else { return vec![0x01] };
        match instruction {
            // GenImg.
            0x01 => {
                self.image = self.finger;
                vec![if self.finger.is_some() { 0x00 } else { 0x02 }]
            }
            // Img2Tz.
            0x02 => match (self.image, payload.get(1)) {
                (None, _) => vec![0x15],
                _ if self.messy() => vec![0x06],
                (Some(finger), Some(slot @ (1 | 2))) => {
                    self.features[usize::from(*slot) - 1] = Some(finger);
                    vec![0x00]
                }
                _ => vec![0x1A],
            },
            // Match.
            0x03 => match self.features {
                [Some(a), Some(b)] if a == b => vec![0x00, 0x00, 0x78],
                _ => vec![0x08, 0, 0],
            },
            // Search, plain and fast.
            0x04 | 0x1B => {
                self.identified += 1;
                let which = usize::from(payload.get(1) == Some(&2));
                let pages = number(2)..=number(2).saturating_add(number(4).saturating_sub(1));
                let found = self
                    .slots
                    .iter()
                    .find(|(page, finger)| pages.contains(page) && self.features[which] == Some(**finger));
                match found {
                    Some((page, _)) => [&[0x00][..], &page.to_be_bytes(), &[0x00, 0x78]].concat(),
                    None => vec![0x09, 0, 0, 0, 0],
                }
            }
            // RegModel.
            0x05 => vec![if self.features[0].is_some() && self.features[0] == self.features[1] {
                0x00
            } else {
                0x0A
            }],
            // Store.
            0x06 => match (self.features[0], number(2)) {
                (Some(finger), page) if in_range(page) => {
                    self.slots.insert(page, finger);
                    vec![0x00]
                }
                _ => vec![0x0B],
            },
            // LoadChar.
            0x07 => match self.slots.get(&number(2)) {
                Some(finger) => {
                    self.features[usize::from(payload.get(1) == Some(&2))] = Some(*finger);
                    vec![0x00]
                }
                None => vec![0x0C],
            },
            // Delete.
            0x0C => {
                let pages = number(1)..number(1).saturating_add(number(3));
                self.slots.retain(|page, _| !pages.contains(page));
                vec![0x00]
            }
            // Empty.
            0x0D => {
                self.slots.clear();
                vec![0x00]
            }
            // ReadSysPara.
            0x0F => {
                let mut out = vec![0x00, 0x00, 0x00, 0x00, 0x09];
                out.extend(setup.capacity.to_be_bytes());
                out.extend([0x00, 0x03]);
                out.extend(setup.address.to_be_bytes());
                out.extend([0x00, 0x02, 0x00, 0x06]);
                out
            }
            // VfyPwd.
            0x13 => {
                vec![if payload.get(1..5) == Some(&setup.password.to_be_bytes()[..]) { 0x00 } else { 0x13 }]
            }
            // TemplateNum.
            0x1D => [&[0x00][..], &(self.slots.len() as u16).to_be_bytes()].concat(),
            // ReadIndex.
            0x1F => {
                let first = u16::from(payload.get(1).copied().unwrap_or(0)) * 256;
                let mut out = vec![0u8; 33];
                for page in self.slots.keys().filter_map(|page| page.checked_sub(first)).filter(|p| *p < 256)
                {
                    out[1 + usize::from(page / 8)] |= 1 << (page % 8);
                }
                out
            }
            // SetSysPara, lights, soft reset.
            0x0E | 0x35 | 0x3D | 0x50 | 0x51 => vec![0x00],
            // Echo.
            0x53 => vec![0x55],
            _ => vec![0x01],
        }
    }

    fn aa55(&mut self, setup: &ModuleSetup, packet: aa55::Packet) -> Result<u32, u32> {
        let slot = packet.parameter as u16;
        match packet.command {
            0x01 | 0x02 => Ok(0),
            0x12 => {
                self.light = packet.parameter == 1;
                Ok(0)
            }
            0x20 => Ok(self.slots.len() as u32),
            0x21 => self.slots.get(&slot).map(|_| 0).ok_or(0x1004),
            0x22 if slot >= setup.capacity => Err(0x1003),
            0x22 if self.slots.contains_key(&slot) => Err(0x1005),
            0x22 => {
                self.enrolling = Some((slot, None));
                Ok(0)
            }
            0x23..=0x25 => {
                let Some((slot, before)) = self.enrolling else { return Err(0x100B) };
                let finger = self.image.ok_or(0x1012u32)?;
                if before.is_some_and(|before| before != finger) {
                    self.enrolling = None;
                    return Err(0x100D);
                }
                self.enrolling = Some((slot, Some(finger)));
                if packet.command == 0x25 {
                    self.enrolling = None;
                    self.slots.insert(slot, finger);
                }
                Ok(0)
            }
            // Nothing is seen in the dark.
            0x26 => Ok(if self.light && self.finger.is_some() { 0 } else { 0x1012 }),
            0x40 => self.slots.remove(&slot).map(|_| 0).ok_or(0x1004),
            0x41 if self.slots.is_empty() => Err(0x100A),
            0x41 => {
                self.slots.clear();
                Ok(0)
            }
            0x50 => {
                let known = self.slots.get(&slot).ok_or(0x1004u32)?;
                if self.image == Some(*known) { Ok(0) } else { Err(0x1007) }
            }
            0x51 => {
                self.identified += 1;
                if self.slots.is_empty() {
                    return Err(0x100A);
                }
                let found = self.slots.iter().find(|(_, finger)| self.image == Some(**finger));
                found.map(|(slot, _)| u32::from(*slot)).ok_or(0x1008)
            }
            0x60 => {
                self.image = self.finger.filter(|_| self.light);
                if self.image.is_none() {
                    return Err(0x1012);
                }
                if self.messy() { Err(0x100C) } else { Ok(0) }
            }
            _ => Err(0x100E),
        }
    }
}
