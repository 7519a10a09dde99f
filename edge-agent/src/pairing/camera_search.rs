//! Cameras searched on stated networks: by WS-Discovery out of the interfaces that face them, and every address by ONVIF and RTSP.
//! No password is tried on what was found.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use control_protocol::PositionId;
use device_drivers::{
    camera::{
        onvif::{CameraDescription, Found, HostRange, Range, describe, discover, discovery::GROUP},
        rtsp_search::{PORT as RTSP_PORT, RtspServer, rtsp_servers},
    },
    clock::SystemUtc,
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    Pairing, Who,
    attend::{nobody, ways},
    cameras::{DESCRIBE, connection_of, described, hardware_of},
    problem::Problem,
    search::MOST,
    visit::{Candidate, Hardware, Search, Step},
};
use crate::devices::{Connection, Role};

/// How long one network of 254 addresses is searched.
const SEARCH: Duration = Duration::from_secs(8);

/// Where cameras are searched.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CameraSearch {
    /// Ranges, with commas or spaces between them.
    addresses: String,
    /// Ports on which ONVIF is asked for by HTTP.
    #[serde(default = "usual_http_ports")]
    http_ports: Vec<u16>,
    /// The port on which RTSP is asked for.
    #[serde(default = "usual_rtsp_port")]
    rtsp_port: u16,
    /// The port of WS-Discovery.
    #[serde(default = "usual_discovery_port")]
    discovery_port: u16,
}

fn usual_http_ports() -> Vec<u16> {
    vec![80]
}

fn usual_rtsp_port() -> u16 {
    RTSP_PORT
}

fn usual_discovery_port() -> u16 {
    GROUP.port()
}

impl CameraSearch {
    fn ranges(&self) -> Result<Vec<HostRange>, Problem> {
        let parts =
            self.addresses.split([',', '，', ';', ' ', '\n']).map(str::trim).filter(|p| !p.is_empty());
        let ranges: Vec<HostRange> = parts
            .map(|part| part.parse().map_err(|e| Problem::invalid("addresses", format!("{e}"))))
            .collect::<Result<_, _>>()?;
        let count = ranges.iter().fold(0usize, |sum, range| sum.saturating_add(range.count()));
        if count == 0 || count > MOST as usize {
            return Err(Problem::invalid("addresses", format!("from 1 to {MOST} addresses at once")));
        }
        if self.http_ports.is_empty() || self.http_ports.len() > 4 || self.http_ports.contains(&0) {
            return Err(Problem::invalid("http_ports", "one to four ports"));
        }
        Ok(ranges)
    }
}

/// Our own address towards each network: a multicast probe goes out of there. Sends nothing.
fn interfaces(ranges: &[HostRange]) -> Vec<Ipv4Addr> {
    let towards = |range: &HostRange| -> Option<Ipv4Addr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((range.addresses().next()?, 9)).ok()?;
        match socket.local_addr().ok()?.ip() {
            IpAddr::V4(own) if !own.is_unspecified() => Some(own),
            _ => None,
        }
    };
    let mut found: Vec<Ipv4Addr> = ranges.iter().filter_map(towards).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// An address that stands in for a camera's streams until they are known.
fn unknown_streams(address: SocketAddr) -> Option<Url> {
    Url::parse(&format!("rtsp://{address}/")).ok()
}

fn host_of(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

impl Pairing {
    /// Asks stated networks for cameras: by WS-Discovery, and every address by ONVIF and RTSP.
    pub(super) async fn search_cameras(&self, who: &Who, asked: CameraSearch) -> Result<Value, Problem> {
        let ranges = asked.ranges()?;
        let count: usize = ranges.iter().map(|r| r.count()).sum();
        let count = u32::try_from(count).unwrap_or(MOST);
        let interfaces = interfaces(&ranges);
        let mut held = self.0.visit.lock().await;
        let visit = held.as_mut().ok_or_else(Problem::no_visit)?;
        visit.admits(&who.name, self.now())?;
        if visit.searches.iter().any(|s| s.state == "searching") {
            let detail = "a search is under way: wait for it or stop it";
            return Err(Problem::new(429, "too-many", json!({"seconds": 20}), detail));
        }
        let id = visit.next_id('s')?;
        let shown = ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let search = Search {
            id: id.clone(),
            source: "camera".into(),
            range: json!({
                "addresses": shown,
                "interfaces": interfaces,
                "http_ports": asked.http_ports,
                "rtsp_port": asked.rtsp_port,
            }),
            state: "searching".into(),
            began_at: self.now(),
            tried: Some(0),
            of: Some(count),
            why: None,
        };
        self.keep(visit, who, vec![Step::SearchBegan(search)], |_| Ok(())).await?;
        let range = Range {
            interfaces,
            hosts: ranges,
            http_ports: asked.http_ports,
            group: (GROUP.ip(), asked.discovery_port).into(),
        };
        let (pairing, visit_id, stop) = (self.clone(), visit.id.clone(), self.0.place.stop.clone());
        // Ends by itself: every address has its time. Stopping the search lets its finds go.
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = pairing.scan_cameras(&visit_id, &id, range, asked.rtsp_port, count) => {}
            }
        });
        Ok(self.visit(visit, self.now()))
    }

    async fn scan_cameras(&self, visit: &str, id: &str, range: Range, rtsp_port: u16, count: u32) {
        let deadline = SEARCH * count.div_ceil(254).max(1);
        let (discovery, (servers, whole)) = tokio::join!(
            discover(&range, &SystemUtc, deadline),
            rtsp_servers(&range.hosts, rtsp_port, deadline)
        );
        let (found, mut why) = match discovery {
            Ok(discovery) => {
                let cut = discovery.searched.cut_short || !whole;
                let mut why = discovery.searched.failed;
                why.extend(cut.then(|| "not every address was asked in time".to_owned()));
                (discovery.found, why)
            }
            Err(error) => (Vec::new(), vec![error.to_string()]),
        };
        why.truncate(4);
        // What tells everybody what it is needs no password.
        let asking = found.iter().map(|camera| async {
            match camera.xaddrs.first() {
                Some(xaddr) => describe(xaddr, None, &SystemUtc, DESCRIBE).await.map_err(|e| e.to_string()),
                None => Err("it has no address".to_owned()),
            }
        });
        let told = futures_util::future::join_all(asking).await;
        let cameras = found.into_iter().zip(told).collect();
        if let Err(problem) = self.scanned_cameras(visit, id, cameras, servers, count, why).await {
            tracing::error!("the search's result could not be kept: {problem}");
        }
    }

    async fn scanned_cameras(
        &self,
        visit_id: &str,
        id: &str,
        cameras: Vec<(Found, Result<CameraDescription, String>)>,
        servers: Vec<RtspServer>,
        count: u32,
        why: Vec<String>,
    ) -> Result<(), Problem> {
        let mut held = self.0.visit.lock().await;
        let now = self.now();
        let Some(visit) = held.as_mut().filter(|v| v.id == visit_id && v.is_open(now)) else { return Ok(()) };
        if !visit.searches.iter().any(|s| s.id == id && s.running()) {
            return Ok(());
        }
        let mut by_host: BTreeMap<IpAddr, RtspServer> =
            servers.into_iter().map(|server| (server.address.ip(), server)).collect();
        let mut found: Vec<(Hardware, Connection, Value)> = Vec::new();
        for (camera, told) in cameras {
            let rtsp = by_host.remove(&camera.address);
            let mut facts = json!({
                "address": camera.address,
                "onvif": camera.xaddrs.first(),
                "rtsp": rtsp.as_ref().map(|r| r.address),
                "server": rtsp.as_ref().and_then(|r| r.server.as_ref()),
                "name": camera.name,
                "model": camera.hardware,
                "described": false,
                "needs_credential": true,
                "in_use_by": self.on_host(camera.address),
            });
            if let Ok(told) = told
                && let Some(connection) = connection_of(&told, None, None)
            {
                facts = described(&facts, &told);
                found.push((hardware_of(&told, &connection), connection, facts));
                continue;
            }
            let address = rtsp.map_or(SocketAddr::from((camera.address, RTSP_PORT)), |r| r.address);
            let Some(main) = unknown_streams(address) else { continue };
            let identity = camera.endpoint.unwrap_or_else(|| main.to_string());
            let connection = Connection::Camera { main, sub: None, user: None, credential: None };
            found.push((Hardware { kind: Role::Camera, identity, serial: None }, connection, facts));
        }
        for (_, server) in by_host {
            let Some(main) = unknown_streams(server.address) else { continue };
            let facts = json!({
                "address": server.address.ip(),
                "onvif": null,
                "rtsp": server.address,
                "server": server.server,
                "described": false,
                "needs_credential": true,
                "in_use_by": self.on_host(server.address.ip()),
            });
            let connection = Connection::Camera { main, sub: None, user: None, credential: None };
            let hardware = Hardware { kind: Role::Camera, identity: connection.identity(), serial: None };
            found.push((hardware, connection, facts));
        }
        let who = nobody();
        for (hardware, connection, facts) in found {
            let known = visit.candidates.iter().any(|c| {
                c.kind == Role::Camera
                    && (c.hardware.identity == hardware.identity
                        || (c.facts["address"] == facts["address"] && c.facts["onvif"] == facts["onvif"]))
            });
            if known {
                continue;
            }
            let identify = if facts["described"] == true { ways(&connection) } else { Vec::new() };
            let candidate = Candidate {
                id: visit.next_id('c')?,
                search: id.to_owned(),
                source: "camera".into(),
                kind: Role::Camera,
                hardware,
                connection,
                found_at: now,
                identify,
                is_it: None,
                facts,
            };
            self.keep(visit, &who, vec![Step::Found(candidate)], |_| Ok(())).await?;
        }
        let step = Step::SearchEnded {
            search: id.to_owned(),
            state: "done".into(),
            tried: Some(count),
            of: Some(count),
            why: (!why.is_empty()).then(|| why.join("; ")),
        };
        self.keep(visit, &who, vec![step], |_| Ok(())).await
    }

    /// The places whose cameras are at this address.
    fn on_host(&self, address: IpAddr) -> Vec<PositionId> {
        let here = |connection: &Connection| match connection {
            Connection::Camera { main, .. } => host_of(main) == Some(address),
            _ => false,
        };
        let all = self.all();
        all.iter()
            .filter(|p| p.binding.as_ref().is_some_and(|b| here(&b.connection)))
            .map(|p| p.id.clone())
            .collect()
    }
}
