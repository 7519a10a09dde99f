//! Devices that stand in the hall and are in nobody's file, so that somebody can pair them: a bus evaluator, an evaluator of a
//! maker whose protocol nobody knows, an attendance terminal, and a camera that tells of itself by ONVIF.
//!
//! Its presses are asked for over the control interface; they are of no scripted day and in no log.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use device_drivers::attendance::zk::records::RecordSize;
use device_drivers::clock::SystemLocal;
use device_drivers::counter::AckForm;
use device_drivers::simulator::attendance::{Terminal, TerminalSetup};
use device_drivers::simulator::counter::{BusSetup, CounterBus};
use device_drivers::simulator::onvif::{Behaviour, OnvifCamera};
use device_drivers::simulator::pty::Pty;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{CameraEntry, Config};
use crate::devices::DeviceError;
use crate::rtsp::{Server, Tier};

/// Bus address of the spare bus evaluator.
pub const BUS_ADDRESS: u8 = 5;
/// Serial number of the spare terminal.
pub const TERMINAL_SERIAL: &str = "SPARE0001";
/// Presses that may wait for a line.
const PRESSES: usize = 16;
/// How long an asked press may wait for whoever listens.
const ANSWER: Duration = Duration::from_secs(10);

/// Where the spares are, in the ready file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadySpares {
    /// Line of the bus evaluator, address 5.
    pub bus: PathBuf,
    /// Line of the unknown evaluator, 9600 baud.
    pub unknown: PathBuf,
    /// The attendance terminal; it asks for no key.
    pub attendance: SocketAddr,
    /// The camera's HTTP port, where it speaks ONVIF.
    pub onvif: u16,
    /// The port on which it answers WS-Discovery.
    pub discovery: u16,
}

/// `POST /spares`: a key of a spare device is pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "device", deny_unknown_fields)]
pub enum SparePress {
    /// The bus evaluator sends this byte; answered once it was acknowledged.
    Bus {
        /// 04 best … 00 worst.
        raw: u8,
    },
    /// A button of the unknown evaluator, 5 = very satisfied.
    Unknown {
        /// 1 to 5.
        grade: u8,
    },
    /// A finger on the terminal.
    Attendance {
        /// Staff number.
        employee: String,
    },
}

/// The spare devices.
pub(crate) struct Spares {
    bus: Arc<CounterBus>,
    unknown: mpsc::Sender<u8>,
    terminal: Terminal,
    ready: ReadySpares,
    _camera: OnvifCamera,
}

impl Spares {
    /// Opens them. `camera` is the one whose pictures the spare camera shows.
    ///
    /// # Errors
    /// A pty or a port is not to be had.
    pub(crate) async fn start(
        config: &Config,
        camera: &CameraEntry,
        rtsp: &Server,
        discovery_port: u16,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<Self, DeviceError> {
        let open = |what: &str| {
            let what = what.to_owned();
            move |source| DeviceError::Open { what, source }
        };
        let (bus_link, unknown_link) = (config.run.join("spare-bus"), config.run.join("spare-unknown"));
        let setup = BusSetup { evaluators: vec![(BUS_ADDRESS, AckForm::A)], ..BusSetup::default() };
        let bus = Arc::new(CounterBus::new(setup));
        let mut pty = Pty::open(Some(&bus_link)).map_err(open("spare-bus"))?;
        let (serving, until) = (bus.clone(), cancel.clone());
        tasks.spawn(async move {
            if let Err(error) = serving.serve(&mut pty, &until).await {
                tracing::warn!(%error, "the spare bus ended");
            }
        });
        let pty = Pty::open(Some(&unknown_link)).map_err(open("spare-unknown"))?;
        let (unknown, presses) = mpsc::channel(PRESSES);
        tasks.spawn(unknown_evaluator(pty, presses, cancel.clone()));
        let zone = config.time_zone().map_err(|e| open("zone")(std::io::Error::other(e)))?;
        let terminal = Terminal::new(
            TerminalSetup {
                record_size: RecordSize::Forty,
                users: config.clerks.iter().map(|clerk| clerk.number.clone()).collect(),
                serial: TERMINAL_SERIAL.to_owned(),
                ..TerminalSetup::default()
            },
            Arc::new(SystemLocal(zone)),
        );
        let listener = TcpListener::bind((config.listen, 0)).await.map_err(open("spare terminal"))?;
        let attendance = listener.local_addr().map_err(open("spare terminal"))?;
        let (serving, until) = (terminal.clone(), cancel.clone());
        tasks.spawn(async move {
            if let Err(error) = serving.serve(listener, until).await {
                tracing::error!(%error, "the spare terminal stopped");
            }
        });
        let mut behaviour = Behaviour::sound("");
        behaviour.name = "新摄像机".to_owned();
        behaviour.user = Some((camera.user.clone(), camera.password.clone()));
        for (profile, tier) in behaviour.profiles.iter_mut().zip([Tier::Main, Tier::Sub]) {
            profile.uri = rtsp.url(&camera.path, tier);
        }
        // The usual port of WS-Discovery is another's where two halls are on one machine.
        let started = match OnvifCamera::start_at(behaviour.clone(), discovery_port).await {
            Err(error) if discovery_port != 0 => {
                tracing::warn!(%error, discovery_port, "the spare camera answers discovery on another port");
                OnvifCamera::start_at(behaviour, 0).await
            }
            started => started,
        };
        let camera = started.map_err(open("spare camera"))?;
        let ready = ReadySpares {
            bus: bus_link,
            unknown: unknown_link,
            attendance,
            onvif: camera.http_port(),
            discovery: camera.discovery().port(),
        };
        Ok(Self { bus, unknown, terminal, ready, _camera: camera })
    }

    pub(crate) fn ready(&self) -> &ReadySpares {
        &self.ready
    }

    /// Presses what is asked.
    ///
    /// # Errors
    /// Why nobody heard it, for the person who asked.
    pub(crate) async fn press(&self, press: &SparePress) -> Result<(), String> {
        match press {
            SparePress::Bus { raw } => {
                let id = self.bus.rate(BUS_ADDRESS, *raw);
                let heard = self.bus.wait_acknowledged(id, ANSWER).await;
                heard
                    .map(|_| ())
                    .ok_or_else(|| "nobody acknowledged the press: is the line listened to?".into())
            }
            SparePress::Unknown { grade } if (1..=5).contains(grade) => {
                self.unknown.send(*grade).await.map_err(|_| "the line is closed".into())
            }
            SparePress::Unknown { grade } => Err(format!("{grade} is not from 1 to 5")),
            SparePress::Attendance { employee } => {
                self.terminal.punch(employee, 1, 0);
                Ok(())
            }
        }
    }
}

/// The unknown evaluator's frame: a head, its length, a count that goes up with each press, the key, and a checksum (XOR of
/// all before it, inverted). Described nowhere else: whoever wants to read it has to find out.
fn unknown_frame(count: u8, grade: u8) -> [u8; 7] {
    const KEYS: [u8; 5] = [0x15, 0x24, 0x33, 0x42, 0x51];
    let key = KEYS[usize::from(grade.clamp(1, 5) - 1)];
    let mut frame = [0x5A, 0xC3, 0x07, 0x01, count, key, 0];
    frame[6] = !frame[..6].iter().fold(0, |sum, byte| sum ^ byte);
    frame
}

async fn unknown_evaluator(mut pty: Pty, mut presses: mpsc::Receiver<u8>, cancel: CancellationToken) {
    let mut count = 0u8;
    let mut heard = [0u8; 256];
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            // It listens to nobody.
            read = pty.read(&mut heard) => if read.is_err() {
                return;
            },
            press = presses.recv() => {
                let Some(grade) = press else { return };
                count = count.wrapping_add(1);
                if let Err(error) = pty.write_all(&unknown_frame(count, grade)).await {
                    tracing::warn!(%error, "the unknown evaluator's line ended");
                    return;
                }
            }
        }
    }
}
