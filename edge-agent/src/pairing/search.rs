//! Searches that ask around by themselves, and what can be searched at all. Each says what it asks before it asks; a kind of
//! search that this agent has not is not offered.

use std::{path::PathBuf, sync::Arc};

use device_drivers::{
    attendance::zk::{
        TerminalAddress, Visit as Call,
        probe::{Probe, probe, test_voice},
        search::{AddressRange, Found, PORT, Search as Scan},
    },
    camera::rtsp_search::PORT as RTSP_PORT,
    clock::SystemLocal,
    port::{Places, PortKind, list::list},
    profile::{Profile, TransportKind},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Pairing, Who,
    attend::nobody,
    problem::Problem,
    visit::{Candidate, Hardware, Search, Step},
};
use crate::devices::{Connection, Role, Wire};

/// The largest range searched at once: a technician waits for it.
pub(super) const MOST: u32 = 1024;
/// The kinds of device that a technician can say the place of.
const KINDS: [&str; 9] = [
    "bus_keypad",
    "bus_evaluator",
    "printer_tap",
    "zk",
    "camera",
    "push",
    "fingerprint",
    "printer",
    "profile",
];
/// How often a terminal's log is read anew unless said otherwise, seconds.
const LOG_SECONDS: u64 = 600;

impl Pairing {
    /// What can be searched here.
    pub(super) async fn sources(&self) -> Value {
        let found = list(Places::default()).await;
        let found = found.map_err(|e| tracing::warn!("serial ports cannot be listed: {e}")).ok();
        let all = self.all();
        let mut ports: Vec<(PathBuf, String)> = Vec::new();
        for port in found.unwrap_or_default().into_iter().filter(|p| p.kind == PortKind::Serial) {
            let words = [
                port.maker.clone(),
                port.product.clone(),
                port.usb.as_ref().and_then(|u| u.adapter()).map(str::to_owned),
            ];
            let label: Vec<String> = words.into_iter().flatten().collect();
            let label = if label.is_empty() { port.node.display().to_string() } else { label.join(" ") };
            ports.push((port.stable, label));
        }
        let bound = all.iter().filter_map(|p| p.binding.as_ref()).filter_map(|b| b.connection.line());
        let bound: Vec<PathBuf> = bound.map(|(port, _)| port.to_owned()).collect();
        for port in self.0.place.config.pairing.ports.iter().chain(&bound) {
            if !ports.iter().any(|(known, _)| known == port) {
                ports.push((port.clone(), port.display().to_string()));
            }
        }
        let ports: Vec<Value> = ports
            .into_iter()
            .map(|(port, label)| {
                let on: Vec<_> = all
                    .iter()
                    .filter(|p| {
                        let line = p.binding.as_ref().and_then(|b| b.connection.line());
                        line.is_some_and(|(on, _)| on == port)
                    })
                    .collect();
                let baud = on.first().and_then(|p| p.binding.as_ref()?.connection.line()).map(|l| l.1);
                let taken = on.iter().any(|p| p.role == Role::Ticket);
                json!({
                    "port": port,
                    "label": label,
                    "in_use_by": on.iter().map(|p| &p.id).collect::<Vec<_>>(),
                    "baud": baud,
                    "can_listen": !taken,
                })
            })
            .collect();
        // Cameras are asked on ports of their own.
        let mut networks: Vec<&str> = Vec::new();
        for range in &self.0.place.config.pairing.addresses {
            let network = range.rsplit_once(':').map_or(range.as_str(), |(network, _)| network);
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        // A device that nobody knows must be alone.
        let mut alone = ports.clone();
        for port in &mut alone {
            port["can_listen"] = json!(port["in_use_by"].as_array().is_none_or(Vec::is_empty));
        }
        let mut sources = json!({"items": [
            {"source": "bus", "ports": ports, "bauds": [9600, 4800, 19200, 38400, 115_200]},
            {"source": "attendance", "suggested": self.0.place.config.pairing.addresses, "most_addresses": MOST},
            {"source": "unknown", "ports": alone, "bauds": [9600, 4800, 2400, 19200, 38400, 57600, 115_200]},
            {
                "source": "camera",
                "suggested": networks,
                "most_addresses": MOST,
                "http_ports": [80],
                "rtsp_port": RTSP_PORT,
            },
            {"source": "stated", "kinds": KINDS, "profiles": self.profiles().await},
        ]});
        // Only where the hall listens for terminals that call in.
        if let (Some(push), Some(items)) = (&self.0.place.config.push, sources["items"].as_array_mut()) {
            items.insert(2, json!({"source": "push", "listen": push.listen}));
        }
        sources
    }

    /// The profiles that a device may speak by, with what they can be.
    async fn profiles(&self) -> Vec<Value> {
        let supervisor = self.0.supervisor.lock().await;
        let roles = |profile: &Profile| {
            let can = [
                (profile.evaluates(), "evaluator"),
                (profile.has_keys(), "keypad"),
                (Wire::shows(profile), "display"),
                (Wire::speaks(profile), "voice"),
            ];
            can.into_iter().filter(|(can, _)| *can).map(|(_, role)| role).collect::<Vec<_>>()
        };
        let shown = |p: &std::sync::Arc<Profile>| {
            let keyboard = p.transport().kind == TransportKind::HidReport;
            json!({"name": p.name(), "title": p.title(), "roles": roles(p), "keyboard": keyboard})
        };
        supervisor.profiles().map(shown).collect()
    }

    /// The terminals that have called in by themselves.
    pub(super) async fn search_push(&self, who: &Who) -> Result<Value, Problem> {
        let callers = self.0.supervisor.lock().await.push_callers();
        let mut held = self.0.visit.lock().await;
        let visit = held.as_mut().ok_or_else(Problem::no_visit)?;
        visit.admits(&who.name, self.now())?;
        let now = self.now();
        let id = visit.next_id('s')?;
        let listen = self.0.place.config.push.as_ref().map(|push| push.listen);
        let mut search = Search {
            id: id.clone(),
            source: "push".into(),
            range: json!({"listen": listen}),
            state: "done".into(),
            began_at: now,
            tried: None,
            of: None,
            why: None,
        };
        if callers.is_none() {
            search.state = "failed".into();
            search.why = Some("the hall listens for no terminals yet: set [attendance_push]".into());
        }
        self.keep(visit, who, vec![Step::SearchBegan(search)], |_| Ok(())).await?;
        for caller in callers.unwrap_or_default() {
            let connection =
                Connection::Push { serial: caller.serial.clone(), address: None, comm_key_credential: None };
            if visit.candidates.iter().any(|c| c.connection.identity() == connection.identity()) {
                continue;
            }
            let serial = Some(caller.serial.clone());
            let candidate = Candidate {
                id: visit.next_id('c')?,
                search: id.clone(),
                source: "push".into(),
                kind: Role::Attendance,
                hardware: Hardware { kind: Role::Attendance, identity: connection.identity(), serial },
                connection,
                found_at: now,
                identify: Vec::new(),
                is_it: None,
                facts: json!({"address": caller.address, "firmware": caller.firmware}),
            };
            self.keep(visit, &nobody(), vec![Step::Found(candidate)], |_| Ok(())).await?;
        }
        Ok(self.visit(visit, self.now()))
    }

    async fn comm_key(&self, credential: Option<&str>) -> Result<Option<u32>, Problem> {
        let Some(name) = credential else { return Ok(None) };
        let (vault, wanted) = (self.0.place.vault.clone(), name.to_owned());
        let secret = tokio::task::spawn_blocking(move || vault.get(&wanted)).await;
        let secret = secret.ok().and_then(Result::ok).ok_or_else(|| Problem::not_found("credential"))?;
        let key = secret.reveal().trim().parse();
        key.map(Some)
            .map_err(|_| Problem::invalid("credential", "the communication key of a terminal is a number"))
    }

    /// Asks every address of a range for a fingerprint clock.
    pub(super) async fn search_attendance(
        &self,
        who: &Who,
        addresses: &str,
        credential: Option<String>,
    ) -> Result<Value, Problem> {
        let (range, port) = match addresses.rsplit_once(':') {
            Some((range, port)) => {
                (range, port.parse().map_err(|_| Problem::invalid("addresses", "a port from 1 to 65535"))?)
            }
            None => (addresses, PORT),
        };
        let range: AddressRange = range.parse().map_err(|e| Problem::invalid("addresses", format!("{e}")))?;
        if range.count() > MOST {
            return Err(Problem::invalid("addresses", format!("at most {MOST} addresses at once")));
        }
        let key = self.comm_key(credential.as_deref()).await?;
        let mut held = self.0.visit.lock().await;
        let visit = held.as_mut().ok_or_else(Problem::no_visit)?;
        visit.admits(&who.name, self.now())?;
        if visit.searches.iter().any(|s| s.state == "searching") {
            let params = json!({"seconds": 20});
            return Err(Problem::new(
                429,
                "too-many",
                params,
                "a search is under way: wait for it or stop it",
            ));
        }
        let id = visit.next_id('s')?;
        let search = Search {
            id: id.clone(),
            source: "attendance".into(),
            range: json!({"addresses": range.to_string(), "port": port, "transports": ["tcp", "udp"]}),
            state: "searching".into(),
            began_at: self.now(),
            tried: Some(0),
            of: Some(range.count()),
            why: None,
        };
        self.keep(visit, who, vec![Step::SearchBegan(search)], |_| Ok(())).await?;
        let (pairing, visit_id) = (self.clone(), visit.id.clone());
        // Ends by itself: every address has its time. Stopping the search lets its finds go.
        let stop = self.0.place.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = pairing.scan(&visit_id, &id, range, port, credential, key) => {}
            }
        });
        Ok(self.visit(visit, self.now()))
    }

    async fn scan(
        &self,
        visit: &str,
        id: &str,
        range: AddressRange,
        port: u16,
        credential: Option<String>,
        key: Option<u32>,
    ) {
        let local = Arc::new(SystemLocal(self.0.place.config.hall.time_zone.clone()));
        let mut scan = Scan::new(range);
        scan.port = port;
        let mut found = scan.run(local.clone(), CancellationToken::new()).await;
        for terminal in found.iter_mut().filter(|t| t.probe.needs_key && key.is_some()) {
            let call =
                Call::new(TerminalAddress { transport: terminal.transport, address: terminal.address }, key);
            match probe(&call, local.as_ref()).await {
                Ok(known) => terminal.probe = known,
                Err(error) => {
                    tracing::info!(address = %terminal.address, "the terminal refuses the key: {error}")
                }
            }
        }
        if let Err(problem) = self.scanned(visit, id, range.count(), credential, found).await {
            tracing::error!("the search's result could not be kept: {problem}");
        }
    }

    async fn scanned(
        &self,
        visit_id: &str,
        id: &str,
        count: u32,
        credential: Option<String>,
        found: Vec<Found>,
    ) -> Result<(), Problem> {
        let mut held = self.0.visit.lock().await;
        let now = self.now();
        let Some(visit) = held.as_mut().filter(|v| v.id == visit_id && v.is_open(now)) else { return Ok(()) };
        if !visit.searches.iter().any(|s| s.id == id && s.running()) {
            return Ok(());
        }
        for terminal in found {
            let connection = Connection::Zk {
                address: terminal.address,
                comm_key_credential: credential.clone(),
                log_seconds: LOG_SECONDS,
                transport: terminal.transport,
                set_clock: false,
            };
            if visit.candidates.iter().any(|c| c.connection.identity() == connection.identity()) {
                continue;
            }
            let Probe { serial, needs_key, .. } = &terminal.probe;
            let identity = serial.as_ref().map_or_else(|| connection.identity(), |s| format!("zk:{s}"));
            let candidate = Candidate {
                id: visit.next_id('c')?,
                search: id.to_owned(),
                source: "attendance".into(),
                kind: Role::Attendance,
                hardware: Hardware { kind: Role::Attendance, identity, serial: serial.clone() },
                identify: if *needs_key { Vec::new() } else { vec!["voice".into()] },
                connection,
                found_at: now,
                is_it: None,
                facts: json!(terminal.probe),
            };
            self.keep(visit, &nobody(), vec![Step::Found(candidate)], |_| Ok(())).await?;
        }
        let step = Step::SearchEnded {
            search: id.to_owned(),
            state: "done".into(),
            tried: Some(count),
            of: Some(count),
            why: None,
        };
        self.keep(visit, &nobody(), vec![step], |_| Ok(())).await
    }

    /// Lets a terminal speak.
    pub(super) async fn speak(
        &self,
        address: TerminalAddress,
        credential: Option<&str>,
    ) -> Result<(), Problem> {
        let key = self.comm_key(credential).await?;
        test_voice(&Call::new(address, key), 0).await.map_err(|error| {
            let why = error.to_string();
            Problem::new(502, "device", json!({"why": why}), format!("the terminal does not speak: {error}"))
        })
    }
}
