//! WS-Discovery: which cameras are on stated networks.
//!
//! Owns the probe, the reading of answers, and one bounded search. It asks only where it was told to: by multicast on
//! stated interfaces, and one by one over stated addresses; and it reports exactly what it asked.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use data_encoding::HEXLOWER;
use futures_util::StreamExt;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use tokio::{net::UdpSocket, time::Instant};
use url::Url;

use super::{
    call::{Caller, OnvifError},
    describe::{time_of, usable_url},
    soap::{Answer, find, text_of},
};
use crate::clock::UtcClock;

/// The group and port of WS-Discovery.
pub const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 3702);
/// Addresses one search may ask one by one: sixteen class C networks.
pub const HOST_LIMIT: usize = 4096;
/// Cameras one search reports.
const FOUND_LIMIT: usize = 1024;
/// When a probe is sent again: datagrams are lost, and cheap cameras are slow.
const AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_millis(1500)];
/// Datagrams between two breaths of a search over addresses.
const BURST: usize = 64;
/// Between two bursts.
const BREATH: Duration = Duration::from_millis(20);
/// Addresses asked by HTTP at the same time.
const HTTP_AT_ONCE: usize = 64;
/// How long one address may take to answer HTTP.
const HTTP_TIMEOUT: Duration = Duration::from_millis(1500);

/// Addresses next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRange {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

/// What is wrong with a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It cannot be read.
    #[error("{0:?} is no range of addresses: write 192.168.1.20, 192.168.1.20-90 or 192.168.1.0/24")]
    Unreadable(String),
    /// It is too large.
    #[error("{0} addresses are too many: at most {HOST_LIMIT} in one search")]
    TooLarge(usize),
    /// Nothing is to be searched.
    #[error("no interface and no address is given: there is nothing to search")]
    Nothing,
}

impl HostRange {
    /// From `first` to `last`, both included; `None` if they are the wrong way round.
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// How many addresses.
    pub fn count(self) -> usize {
        usize::try_from(u32::from(self.last) - u32::from(self.first)).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// Its addresses, in order.
    pub fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (u32::from(self.first)..=u32::from(self.last)).map(Ipv4Addr::from)
    }
}

impl FromStr for HostRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let unreadable = || RangeError::Unreadable(text.to_owned());
        let address = |part: &str| part.trim().parse::<Ipv4Addr>().map_err(|_| unreadable());
        if let Some((network, bits)) = text.split_once('/') {
            let network = u32::from(address(network)?);
            let bits: u32 =
                bits.trim().parse().ok().filter(|b| (8..=32).contains(b)).ok_or_else(unreadable)?;
            let mask = u32::MAX << (32 - bits);
            let (mut first, mut last) = (network & mask, network | !mask);
            // Network and broadcast address are nobody's.
            if bits < 31 {
                first += 1;
                last -= 1;
            }
            return Self::new(first.into(), last.into()).ok_or_else(unreadable);
        }
        let Some((first, last)) = text.split_once('-') else {
            let only = address(text)?;
            return Self::new(only, only).ok_or_else(unreadable);
        };
        let first = address(first)?;
        let last = match last.trim().parse::<u8>() {
            Ok(end) => {
                let [a, b, c, _] = first.octets();
                Ipv4Addr::new(a, b, c, end)
            }
            Err(_) => address(last)?,
        };
        Self::new(first, last).ok_or_else(unreadable)
    }
}

impl fmt::Display for HostRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl Serialize for HostRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where to search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Our own addresses, each of one interface: a multicast probe goes out of each.
    pub interfaces: Vec<Ipv4Addr>,
    /// Addresses asked one by one.
    pub hosts: Vec<HostRange>,
    /// Ports on which those addresses are asked by HTTP too: many cameras answer no unicast probe. Empty = none.
    pub http_ports: Vec<u16>,
    /// The group and port; anything but [`GROUP`] is for tests.
    pub group: SocketAddr,
}

impl Default for Range {
    /// Nowhere.
    fn default() -> Self {
        Self { interfaces: Vec::new(), hosts: Vec::new(), http_ports: Vec::new(), group: GROUP }
    }
}

/// A camera that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Where it answered from.
    pub address: IpAddr,
    /// Its own identity (`urn:uuid:…`), if it tells one.
    pub endpoint: Option<String>,
    /// Its name, from its scopes.
    pub name: Option<String>,
    /// Its model, from its scopes.
    pub hardware: Option<String>,
    /// Addresses of its device service, the usable ones, best first.
    pub xaddrs: Vec<Url>,
}

/// What was asked, for the person who reads the result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Searched {
    /// Interfaces on which a multicast probe went out.
    pub interfaces: Vec<Ipv4Addr>,
    /// Addresses asked one by one.
    pub hosts: Vec<HostRange>,
    /// How many those are.
    pub host_count: usize,
    /// Ports asked by HTTP.
    pub http_ports: Vec<u16>,
    /// What could not be asked, and why.
    pub failed: Vec<String>,
    /// The time was over before everything had been asked.
    pub cut_short: bool,
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discovery {
    /// The cameras, by address.
    pub found: Vec<Found>,
    /// Where was searched.
    pub searched: Searched,
}

/// Searches for at most `deadline`.
///
/// # Errors
/// The range is empty or too large. What could not be asked for other reasons is in the result.
pub async fn discover(
    range: &Range,
    clock: &dyn UtcClock,
    deadline: Duration,
) -> Result<Discovery, RangeError> {
    let host_count = range.hosts.iter().fold(0usize, |sum, h| sum.saturating_add(h.count()));
    if host_count > HOST_LIMIT {
        return Err(RangeError::TooLarge(host_count));
    }
    if range.interfaces.is_empty() && host_count == 0 {
        return Err(RangeError::Nothing);
    }
    let until = Instant::now() + deadline;
    let mut searched = Searched {
        hosts: range.hosts.clone(),
        host_count,
        http_ports: if host_count > 0 { range.http_ports.clone() } else { Vec::new() },
        ..Searched::default()
    };
    let mut sockets = Vec::new();
    for interface in &range.interfaces {
        match multicast_socket(*interface).await {
            Ok(socket) => {
                searched.interfaces.push(*interface);
                sockets.push((socket, vec![range.group]));
            }
            Err(error) => searched.failed.push(format!("{interface}: {error}")),
        }
    }
    if host_count > 0 {
        let hosts = range.hosts.iter().flat_map(|h| h.addresses());
        let targets = hosts.map(|ip| SocketAddr::new(ip.into(), range.group.port())).collect();
        match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await {
            Ok(socket) => sockets.push((socket, targets)),
            Err(error) => searched.failed.push(format!("one by one: {error}")),
        }
    }
    let probes = futures_util::future::join_all(sockets.into_iter().map(|(s, to)| probe(s, to, until)));
    let (probed, asked) = tokio::join!(probes, ask_http(range, clock, until));
    let mut all = Collected::default();
    for (found, failed, whole) in probed {
        found.into_iter().for_each(|f| all.add(f));
        searched.failed.extend(failed);
        searched.cut_short |= !whole;
    }
    let (found, whole) = asked;
    found.into_iter().for_each(|f| all.add(f));
    searched.cut_short |= !whole;
    Ok(Discovery { found: all.0.into_values().collect(), searched })
}

/// Cameras by address and identity: one that answers several probes, or on several interfaces, is one.
#[derive(Default)]
struct Collected(BTreeMap<(IpAddr, String), Found>);

impl Collected {
    fn add(&mut self, found: Found) {
        if let Some(endpoint) = &found.endpoint
            && let Some(known) = self.0.values_mut().find(|k| k.endpoint.as_ref() == Some(endpoint))
        {
            return merge(known, found);
        }
        // Found by HTTP: the same address is the same camera.
        if found.endpoint.is_none()
            && let Some(known) = self.0.values_mut().find(|k| k.address == found.address)
        {
            return merge(known, found);
        }
        if self.0.len() < FOUND_LIMIT {
            let key = (found.address, found.endpoint.clone().unwrap_or_default());
            self.0.insert(key, found);
        }
    }
}

fn merge(known: &mut Found, other: Found) {
    known.name = known.name.take().or(other.name);
    known.hardware = known.hardware.take().or(other.hardware);
    for url in other.xaddrs {
        if !known.xaddrs.contains(&url) && known.xaddrs.len() < 8 {
            known.xaddrs.push(url);
        }
    }
}

async fn multicast_socket(interface: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((interface, 0)).await?;
    let options = socket2::SockRef::from(&socket);
    options.set_multicast_if_v4(&interface)?;
    options.set_multicast_ttl_v4(1)?;
    Ok(socket)
}

/// Sends probes from one socket and collects answers. Gives what was found, what could not be sent, and whether all was.
async fn probe(
    socket: UdpSocket,
    targets: Vec<SocketAddr>,
    until: Instant,
) -> (Vec<Found>, Vec<String>, bool) {
    let id = message_id();
    let message = probe_message(&id);
    let begun = Instant::now();
    let mut found = Collected::default();
    let mut failed = BTreeMap::new();
    let mut whole = true;
    let mut buffer = vec![0u8; 16 * 1024];
    for (round, after) in AGAIN.into_iter().enumerate() {
        let start = begun + after;
        if start >= until {
            whole &= round > 0;
            break;
        }
        listen(&socket, &mut buffer, &id, start, &mut found).await;
        for burst in targets.chunks(BURST) {
            if Instant::now() >= until {
                // The first round is the one that counts as asked.
                whole &= round > 0;
                break;
            }
            for target in burst {
                if let Err(error) = socket.send_to(message.as_bytes(), target).await {
                    failed.entry(*target).or_insert_with(|| error.to_string());
                }
            }
            if targets.len() > BURST {
                listen(&socket, &mut buffer, &id, (Instant::now() + BREATH).min(until), &mut found).await;
            }
        }
    }
    listen(&socket, &mut buffer, &id, until, &mut found).await;
    // Of a whole unreachable network one line is enough.
    let failed = failed.into_iter().take(3).map(|(target, why)| format!("{target}: {why}")).collect();
    (found.0.into_values().collect(), failed, whole)
}

async fn listen(socket: &UdpSocket, buffer: &mut [u8], id: &str, until: Instant, found: &mut Collected) {
    while let Ok(received) = tokio::time::timeout_at(until, socket.recv_from(buffer)).await {
        match received {
            Ok((length, from)) => {
                let text = String::from_utf8_lossy(&buffer[..length]);
                for camera in read_matches(&text, from.ip(), Some(id)) {
                    found.add(camera);
                }
            }
            // "Connection refused" of an address asked before; the next one may answer.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// Asks every address on every HTTP port for its time, which needs no user.
async fn ask_http(range: &Range, clock: &dyn UtcClock, until: Instant) -> (Vec<Found>, bool) {
    let hosts = range.hosts.iter().flat_map(|hosts| hosts.addresses());
    let places: Vec<(Ipv4Addr, u16)> =
        hosts.flat_map(|ip| range.http_ports.iter().map(move |port| (ip, *port))).collect();
    let mut asking = futures_util::stream::iter(places)
        .map(|(ip, port)| async move {
            let xaddr = Url::parse(&format!("http://{ip}:{port}/onvif/device_service")).ok()?;
            let caller = Caller::new(None, clock);
            let asked = tokio::time::timeout(HTTP_TIMEOUT, time_of(&caller, &xaddr)).await.ok()?;
            // A fault or a demand for a user is ONVIF too.
            let is_camera =
                matches!(asked, Ok(_) | Err(OnvifError::NeedsCredential | OnvifError::Fault { .. }));
            is_camera.then_some(Found {
                address: ip.into(),
                endpoint: None,
                name: None,
                hardware: None,
                xaddrs: vec![xaddr],
            })
        })
        .buffer_unordered(HTTP_AT_ONCE);
    let mut found = Vec::new();
    loop {
        match tokio::time::timeout_at(until, asking.next()).await {
            Ok(Some(answer)) => found.extend(answer),
            Ok(None) => return (found, true),
            Err(_elapsed) => return (found, false),
        }
    }
}

fn message_id() -> String {
    let mut bytes = [0u8; 16];
    // An identifier only; without random numbers all answers to it are ours all the same.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex = HEXLOWER.encode(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The probe of docs/reference/devices.md D.
fn probe_message(id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\">\
         <s:Header><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>\
         <a:MessageID>urn:uuid:{id}</a:MessageID>\
         <a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header>\
         <s:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></s:Body></s:Envelope>"
    )
}

/// The cameras in a datagram. `id` is our probe's; an answer to somebody else's is left out.
pub fn read_matches(text: &str, from: IpAddr, id: Option<&str>) -> Vec<Found> {
    let Ok(answer) = Answer::parse(text) else { return Vec::new() };
    let relates = answer.text("RelatesTo").to_ascii_lowercase();
    if let Some(id) = id
        && !relates.is_empty()
        && !relates.contains(id)
    {
        return Vec::new();
    }
    let Some(asked) = Url::parse(&format!("http://{from}/")).ok() else { return Vec::new() };
    answer
        .all("ProbeMatch")
        .take(64)
        .filter_map(|found| {
            let text = |path: &[&'static str]| find(found, path).map(text_of).unwrap_or_default();
            let scopes = text(&["Scopes"]);
            let scope = |kind: &str| {
                scopes.split_whitespace().find_map(|s| {
                    let value =
                        s.strip_prefix("onvif://www.onvif.org/")?.strip_prefix(kind)?.strip_prefix('/')?;
                    Some(unescaped(value)).filter(|v| !v.is_empty())
                })
            };
            let mut xaddrs: Vec<Url> = text(&["XAddrs"])
                .split_whitespace()
                .take(16)
                .filter_map(|a| usable_url(a, &asked))
                .filter(|u| matches!(u.scheme(), "http" | "https"))
                .collect();
            xaddrs.dedup();
            // The address it answered from is reachable for sure; plain HTTP is what is spoken here.
            let sender = asked.host_str().map(str::to_owned);
            xaddrs.sort_by_key(|u| (u.host_str().map(str::to_owned) != sender, u.scheme() != "http"));
            if xaddrs.is_empty() {
                return None;
            }
            let endpoint = text(&["EndpointReference", "Address"]);
            Some(Found {
                address: from,
                endpoint: (!endpoint.is_empty()).then_some(endpoint),
                name: scope("name"),
                hardware: scope("hardware"),
                xaddrs,
            })
        })
        .collect()
}

/// Percent signs undone; what is no UTF-8 then stays as it came.
fn unescaped(text: &str) -> String {
    let whole = text.replace('+', "%2B");
    url::form_urlencoded::parse(format!("k={}", whole.replace('&', "%26")).as_bytes())
        .next()
        .map(|(_, v)| v.chars().filter(|c| !c.is_control()).take(128).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 64));

    fn answer(matches: &str) -> String {
        format!(
            "<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://www.w3.org/2003/05/soap-envelope\" \
             xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\"><SOAP-ENV:Header><wsa:RelatesTo>\
             uuid:AB12</wsa:RelatesTo></SOAP-ENV:Header><SOAP-ENV:Body>{matches}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
        )
    }

    /// docs/reference/devices.md D, "Reply body", and what it says of lenience.
    #[test]
    fn answers_of_several_makers() {
        let one = "<x:ProbeMatch xmlns:x='y'><wsa:EndpointReference><wsa:Address>urn:uuid:1</wsa:Address>\
            </wsa:EndpointReference><x:Types>dn:NetworkVideoTransmitter</x:Types><x:Scopes>onvif://www.onvif.org/type/\
            video_encoder onvif://www.onvif.org/name/%E7%AA%97%E5%8F%A3%207 onvif://www.onvif.org/hardware/DS-2CD3</x:Scopes>\
            <x:XAddrs>http://192.168.1.64/onvif/device_service http://[fe80::1]/onvif/device_service \
            http://10.0.0.64/onvif/device_service</x:XAddrs></x:ProbeMatch>";
        for body in [format!("<d:ProbeMatches xmlns:d='z'>{one}</d:ProbeMatches>"), one.to_owned()] {
            let found = read_matches(&answer(&body), FROM, Some("ab12"));
            assert_eq!(found.len(), 1, "{body}");
            assert_eq!(found[0].name.as_deref(), Some("窗口 7"));
            assert_eq!(found[0].hardware.as_deref(), Some("DS-2CD3"));
            assert_eq!(found[0].endpoint.as_deref(), Some("urn:uuid:1"));
            assert_eq!(found[0].xaddrs[0].as_str(), "http://10.0.0.64/onvif/device_service");
        }
        assert!(read_matches(&answer(one), FROM, Some("cd34")).is_empty(), "somebody else's answer");
        let nowhere = one.replace("192.168.1.64", "0.0.0.0").replace("10.0.0.64", "0.0.0.0");
        let found = read_matches(&answer(&nowhere), FROM, None);
        assert_eq!(found[0].xaddrs[0].as_str(), "http://10.0.0.64/onvif/device_service");
        assert!(read_matches(&probe_message("ab12"), FROM, None).is_empty(), "our own probe, come back");
    }

    #[test]
    fn one_camera_that_answers_often_is_one() {
        let found = |address: [u8; 4], endpoint: Option<&str>, url: &str| Found {
            address: IpAddr::from(address),
            endpoint: endpoint.map(str::to_owned),
            name: None,
            hardware: None,
            xaddrs: vec![Url::parse(url).unwrap()],
        };
        let mut all = Collected::default();
        all.add(found([10, 0, 0, 2], Some("urn:uuid:1"), "http://10.0.0.2/a"));
        all.add(found([10, 0, 1, 2], Some("urn:uuid:1"), "http://10.0.1.2/a"));
        all.add(found([10, 0, 0, 2], None, "http://10.0.0.2/b"));
        all.add(found([10, 0, 0, 3], Some("urn:uuid:2"), "http://10.0.0.3/a"));
        let rows: Vec<_> = all.0.values().map(|f| (f.address.to_string(), f.xaddrs.len())).collect();
        assert_eq!(rows, [("10.0.0.2".to_owned(), 3), ("10.0.0.3".to_owned(), 1)]);
    }

    #[test]
    fn ranges_as_people_write_them() {
        let of = |text: &str| text.parse::<HostRange>().map(|r| (r.to_string(), r.count()));
        assert_eq!(of("192.168.1.20"), Ok(("192.168.1.20".into(), 1)));
        assert_eq!(of("192.168.1.20-90"), Ok(("192.168.1.20-192.168.1.90".into(), 71)));
        assert_eq!(of("192.168.1.250 - 192.168.2.3"), Ok(("192.168.1.250-192.168.2.3".into(), 10)));
        assert_eq!(of("192.168.1.77/24"), Ok(("192.168.1.1-192.168.1.254".into(), 254)));
        assert_eq!(of("10.0.0.4/31"), Ok(("10.0.0.4-10.0.0.5".into(), 2)));
        for bad in ["", "a", "192.168.1.20-10", "192.168.1.0/33", "192.168.1.0/0", "::1"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert_eq!("10.0.0.0/8".parse::<HostRange>().unwrap().count(), (1 << 24) - 2);
    }

    #[test]
    fn probes_differ_and_are_the_documented_ones() {
        let (a, b) = (message_id(), message_id());
        assert!(a != b && a.len() == 36);
        let probe = probe_message(&a);
        let parsed = Answer::parse(&probe).unwrap();
        assert_eq!(parsed.text("Types"), "dn:NetworkVideoTransmitter");
        assert_eq!(parsed.text("MessageID"), format!("urn:uuid:{a}"));
        assert_eq!(parsed.text("To"), "urn:schemas-xmlsoap-org:ws:2005:04:discovery");
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_left(text in "(<[a-z:/]{0,9}ProbeMatch>|<XAddrs>|</XAddrs>|http://|[0-9.:%]{0,9}|[<>&]|onvif://www.onvif.org/name/){0,30}") {
            for found in read_matches(&text, FROM, None) {
                prop_assert!(!found.xaddrs.is_empty());
            }
        }
    }
}
