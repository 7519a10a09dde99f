//! A camera as ONVIF sees it: it answers discovery, tells its time, checks users, describes its streams. Its pictures are
//! another's matter.
//!
//! Faults on demand are those of real cameras (docs/reference/devices.md D): a wrong clock, addresses that nobody can
//! reach, bare matches, time only for users, HTTP digest only, no `GetServices`, H.265 only in the second media service,
//! hanging, garbage.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use data_encoding::{BASE64, HEXLOWER};
use jiff::{SignedDuration, Timestamp};
use md5::{Digest as _, Md5};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

use crate::camera::onvif::soap::{Answer, escaped, password_digest};

/// The nonce of the simulated camera's HTTP digest.
const NONCE: &str = "c0ffee";
/// A security header older or newer than this is refused, as cameras do.
const SKEW: SignedDuration = SignedDuration::from_secs(300);
/// Wrong passwords until the user is locked out.
const TRIES: usize = 5;

/// A stream the camera tells of.
#[derive(Clone, Debug)]
pub struct SimulatedProfile {
    /// Its name; also its token.
    pub name: String,
    /// As told, such as `H264`; `H265` is told by the second media service only.
    pub encoding: &'static str,
    /// Pixels.
    pub size: (u32, u32),
    /// Frames a second.
    pub fps: u32,
    /// Frames from key frame to key frame.
    pub gop: u32,
    /// As told.
    pub uri: String,
}

/// Something that goes wrong from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connections are accepted and never answered.
    Hang,
    /// Answers are no XML.
    Garbage,
    /// Answers go on and on.
    Endless,
    /// Answers break off in the middle.
    BreakOff,
}

/// How the camera is and behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Name for people.
    pub name: String,
    /// Its streams.
    pub profiles: Vec<SimulatedProfile>,
    /// User and password; `None` = everybody may ask.
    pub user: Option<(String, String)>,
    /// Its clock minus the true time.
    pub clock: SignedDuration,
    /// Tells its time to users only.
    pub time_needs_user: bool,
    /// Takes HTTP digest only.
    pub http_digest: bool,
    /// Announces `0.0.0.0`.
    pub nowhere: bool,
    /// Sends `ProbeMatch` without `ProbeMatches` around it.
    pub bare_match: bool,
    /// Is older than `GetServices`.
    pub old: bool,
    /// What is wrong with it.
    pub fault: Option<Fault>,
    /// It can be moved. It heeds no timeout: it turns until it is told to stop.
    pub moves: bool,
    /// The places it remembers: token and name.
    pub presets: Vec<(String, String)>,
}

/// What it does.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// It stands.
    Stopped,
    /// It turns.
    Turning {
        /// To the right.
        pan: f32,
        /// Up.
        tilt: f32,
        /// In.
        zoom: f32,
        /// The timeout it was told.
        most: String,
    },
    /// It went to this preset.
    At(String),
}

impl Behaviour {
    /// A sound camera with a main and a second stream at this host, and no user.
    pub fn sound(rtsp: &str) -> Self {
        let profile = |name: &str, size, gop| SimulatedProfile {
            name: name.to_owned(),
            encoding: "H264",
            size,
            fps: 25,
            gop,
            uri: format!("rtsp://{rtsp}/{name}"),
        };
        Self {
            name: "窗口 7".to_owned(),
            profiles: vec![profile("main", (1920, 1080), 50), profile("sub", (640, 360), 50)],
            user: None,
            clock: SignedDuration::ZERO,
            time_needs_user: false,
            http_digest: false,
            nowhere: false,
            bare_match: false,
            old: false,
            fault: None,
            moves: false,
            presets: Vec::new(),
        }
    }
}

struct State {
    behaviour: Behaviour,
    http: SocketAddr,
    endpoint: String,
    probes: usize,
    calls: Vec<String>,
    wrong: usize,
    place: Place,
}

/// A running camera; it ends when it is dropped.
pub struct OnvifCamera {
    state: Arc<Mutex<State>>,
    http: SocketAddr,
    discovery: SocketAddr,
    _tasks: JoinSet<()>,
}

impl OnvifCamera {
    /// Starts a camera on loopback, on free ports. It answers probes sent to it, and those of the multicast group
    /// `239.255.255.250` on its port.
    ///
    /// # Errors
    /// When no socket can be had.
    pub async fn start(behaviour: Behaviour) -> io::Result<Self> {
        Self::start_at(behaviour, 0).await
    }

    /// The same, with probes answered on a given port; 0 takes a free one.
    ///
    /// # Errors
    /// When no socket can be had.
    pub async fn start_at(behaviour: Behaviour, discovery: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let http = listener.local_addr()?;
        // Multicast reaches only sockets of any address.
        let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, discovery)).await?;
        udp.join_multicast_v4(Ipv4Addr::new(239, 255, 255, 250), Ipv4Addr::LOCALHOST)?;
        let discovery = SocketAddr::from((Ipv4Addr::LOCALHOST, udp.local_addr()?.port()));
        let endpoint = format!("urn:uuid:00000000-0000-4000-8000-{:012x}", http.port());
        let state = State {
            behaviour,
            http,
            endpoint,
            probes: 0,
            calls: Vec::new(),
            wrong: 0,
            place: Place::Stopped,
        };
        let state = Arc::new(Mutex::new(state));
        let mut tasks = JoinSet::new();
        tasks.spawn(answer_probes(udp, Arc::clone(&state)));
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { state, http, discovery, _tasks: tasks })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Where its device service is.
    pub fn xaddr(&self) -> String {
        format!("http://{}/onvif/device_service", self.http)
    }

    /// Its HTTP port.
    pub fn http_port(&self) -> u16 {
        self.http.port()
    }

    /// Where it answers probes.
    pub fn discovery(&self) -> SocketAddr {
        self.discovery
    }

    /// Changes how it behaves.
    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    /// Probes heard.
    pub fn probes(&self) -> usize {
        self.state().probes
    }

    /// Names of the calls answered, in order.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// What it does.
    pub fn place(&self) -> Place {
        self.state().place.clone()
    }

    /// Calls with a wrong user or password. After five nobody gets in.
    pub fn wrong_passwords(&self) -> usize {
        self.state().wrong
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer_probes(udp: UdpSocket, state: Arc<Mutex<State>>) {
    let mut buffer = [0u8; 8192];
    while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let reply = {
            let Ok(probe) = Answer::parse(&text) else { continue };
            if probe.all("Probe").next().is_none() {
                continue;
            }
            let mut state = lock(&state);
            state.probes += 1;
            matches(&state, &probe.text("MessageID"))
        };
        let _ = udp.send_to(reply.as_bytes(), from).await;
    }
}

fn matches(state: &State, relates: &str) -> String {
    let Behaviour { name, nowhere, bare_match, .. } = &state.behaviour;
    let host = if *nowhere { format!("0.0.0.0:{}", state.http.port()) } else { state.http.to_string() };
    let name = url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20");
    let one = format!(
        "<d:ProbeMatch><a:EndpointReference><a:Address>{}</a:Address></a:EndpointReference>\
         <d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/type/video_encoder \
         onvif://www.onvif.org/hardware/SIM-1 onvif://www.onvif.org/name/{name}</d:Scopes>\
         <d:XAddrs>http://{host}/onvif/device_service</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch>",
        state.endpoint
    );
    let body = if *bare_match { one } else { format!("<d:ProbeMatches>{one}</d:ProbeMatches>") };
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\"><e:Header><a:RelatesTo>{relates}</a:RelatesTo>\
         </e:Header><e:Body>{body}</e:Body></e:Envelope>"
    )
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        serving.spawn(async move {
            let _ = serve(stream, &state).await;
        });
    }
}

async fn serve(mut stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0u8; 4096];
    let (head, body) = loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 || request.len() > 64 * 1024 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length: usize = header(head, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let fault = lock(state).behaviour.fault.clone();
    match fault {
        Some(Fault::Hang) => {
            std::future::pending::<()>().await;
        }
        Some(Fault::Garbage) => return reply(&mut stream, "200 OK", "", "\u{1}\u{2}not xml").await,
        Some(Fault::BreakOff) => {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<e:Envelope").await;
        }
        Some(Fault::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n<e>").await?;
            loop {
                stream.write_all(&[b'x'; 4096]).await?;
            }
        }
        None => {}
    }
    let answered = {
        let mut state = lock(state);
        let now = Timestamp::now().checked_add(state.behaviour.clock).unwrap_or_default();
        answer(&mut state, &head, &body, now)
    };
    match answered {
        Answered::Body(body) => reply(&mut stream, "200 OK", "", &envelope(&body)).await,
        Answered::Challenge => {
            let challenge = format!(
                "WWW-Authenticate: Digest realm=\"sim\", qop=\"auth\", nonce=\"{NONCE}\", algorithm=MD5\r\n"
            );
            reply(&mut stream, "401 Unauthorized", &challenge, "").await
        }
        Answered::Refused => {
            reply(&mut stream, "400 Bad Request", "", &fault_of("ter:NotAuthorized", "Sender not authorized"))
                .await
        }
        Answered::Unknown => {
            let fault = fault_of("ter:ActionNotSupported", "Optional action not implemented");
            reply(&mut stream, "500 Internal Server Error", "", &fault).await
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

async fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> io::Result<()> {
    let text = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Type: application/soap+xml; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    // The other end closes first, or not at all.
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0u8; 16])).await;
    Ok(())
}

enum Answered {
    Body(String),
    Challenge,
    Refused,
    Unknown,
}

fn answer(state: &mut State, head: &str, body: &str, now: Timestamp) -> Answered {
    let Ok(request) = Answer::parse(body) else { return Answered::Unknown };
    let Some(call) = request.all("Body").next().and_then(|b| b.children().find(|n| n.is_element())) else {
        return Answered::Unknown;
    };
    let name = call.tag_name().name().to_owned();
    let second = call.tag_name().namespace().is_some_and(|n| n.contains("ver20"));
    let open = name == "GetSystemDateAndTime" && !state.behaviour.time_needs_user;
    if let Some((user, password)) = state.behaviour.user.clone()
        && !open
    {
        let known = if state.behaviour.http_digest {
            let Some(said) = header(head, "authorization") else { return Answered::Challenge };
            digest_is_right(said, &user, &password)
        } else {
            token_is_right(&request, &user, &password, now)
        };
        if request.all("Username").next().is_some() && !known {
            state.wrong += 1;
        }
        if !known || state.wrong >= TRIES {
            return if state.behaviour.http_digest { Answered::Challenge } else { Answered::Refused };
        }
    }
    state.calls.push(name.clone());
    let profile = state.behaviour.profiles.iter().find(|p| p.name == request.text("ProfileToken"));
    let service = format!("http://{}/onvif", state.http);
    match name.as_str() {
        "GetSystemDateAndTime" => Answered::Body(date_and_time(now)),
        "GetDeviceInformation" => Answered::Body(format!(
            "<Manufacturer>Hallwatch</Manufacturer><Model>SIM-1 &amp; Co</Model><FirmwareVersion>1.2</FirmwareVersion>\
             <SerialNumber>S{:05}</SerialNumber><HardwareId>1</HardwareId>",
            state.http.port()
        )),
        "GetServices" if !state.behaviour.old => {
            let one = |namespace: &str, at: &str| {
                format!("<Service><Namespace>{namespace}</Namespace><XAddr>{service}/{at}</XAddr></Service>")
            };
            Answered::Body(
                one("http://www.onvif.org/ver10/device/wsdl", "device_service")
                    + &one("http://www.onvif.org/ver10/media/wsdl", "media")
                    + &one("http://www.onvif.org/ver20/media/wsdl", "media2")
                    + &(if state.behaviour.moves {
                        one("http://www.onvif.org/ver20/ptz/wsdl", "ptz")
                    } else {
                        String::new()
                    }),
            )
        }
        "GetCapabilities" => Answered::Body(format!(
            "<Capabilities><Device><XAddr>{service}/device_service</XAddr></Device>\
             <Media><XAddr>{service}/media</XAddr></Media></Capabilities>"
        )),
        "GetProfiles" => {
            let moves = state.behaviour.moves;
            Answered::Body(state.behaviour.profiles.iter().map(|p| profile_xml(p, second, moves)).collect())
        }
        "ContinuousMove" | "Stop" | "GetPresets" | "GotoPreset" if state.behaviour.moves => {
            match moved(&name, &request, &state.behaviour.presets) {
                Some((place, body)) => {
                    state.place = place.unwrap_or_else(|| state.place.clone());
                    Answered::Body(body)
                }
                None => Answered::Unknown,
            }
        }
        "GetStreamUri" => match profile {
            Some(p) if second => Answered::Body(format!("<Uri>{}</Uri>", escaped(&p.uri))),
            Some(p) => Answered::Body(format!("<MediaUri><Uri>{}</Uri></MediaUri>", escaped(&p.uri))),
            None => Answered::Unknown,
        },
        "GetSnapshotUri" => match profile {
            Some(p) => Answered::Body(format!("<MediaUri><Uri>{service}/{}.jpg</Uri></MediaUri>", p.name)),
            None => Answered::Unknown,
        },
        _ => Answered::Unknown,
    }
}

/// Where it goes, and its answer; none for a preset that it has not.
fn moved(call: &str, request: &Answer<'_>, presets: &[(String, String)]) -> Option<(Option<Place>, String)> {
    let speed = |element: &str, axis: &str| {
        request.all(element).next().and_then(|e| e.attribute(axis)?.parse::<f32>().ok()).unwrap_or(0.0)
    };
    match call {
        "ContinuousMove" => {
            let (pan, tilt, zoom) = (speed("PanTilt", "x"), speed("PanTilt", "y"), speed("Zoom", "x"));
            Some((Some(Place::Turning { pan, tilt, zoom, most: request.text("Timeout") }), String::new()))
        }
        "Stop" => Some((Some(Place::Stopped), String::new())),
        "GetPresets" => {
            let one = |(token, name): &(String, String)| {
                format!("<Preset token=\"{}\"><Name>{}</Name></Preset>", escaped(token), escaped(name))
            };
            Some((None, presets.iter().map(one).collect()))
        }
        _ => {
            let token = request.text("PresetToken");
            presets.iter().any(|(of, _)| *of == token).then(|| (Some(Place::At(token)), String::new()))
        }
    }
}

fn profile_xml(profile: &SimulatedProfile, second: bool, moves: bool) -> String {
    let SimulatedProfile { name, encoding, size: (width, height), fps, gop, .. } = profile;
    let size = format!("<Resolution><Width>{width}</Width><Height>{height}</Height></Resolution>");
    let rate = format!(
        "<RateControl><FrameRateLimit>{fps}</FrameRateLimit><BitrateLimit>2048</BitrateLimit></RateControl>"
    );
    let encoder = if second {
        format!(
            "<Configurations><VideoEncoder token=\"E\" GovLength=\"{gop}\"><Encoding>{encoding}</Encoding>{size}{rate}\
             </VideoEncoder></Configurations>"
        )
    } else if *encoding == "H265" {
        String::new()
    } else {
        format!(
            "<VideoEncoderConfiguration token=\"E\"><Encoding>{encoding}</Encoding>{size}{rate}\
             <H264><GovLength>{gop}</GovLength></H264></VideoEncoderConfiguration>"
        )
    };
    let ptz = if moves { "<PTZConfiguration token=\"PTZ\"/>" } else { "" };
    format!("<Profiles token=\"{0}\"><Name>{0}</Name>{encoder}{ptz}</Profiles>", escaped(name))
}

fn date_and_time(now: Timestamp) -> String {
    let t = now.to_zoned(jiff::tz::TimeZone::UTC);
    format!(
        "<SystemDateAndTime><DateTimeType>NTP</DateTimeType><UTCDateTime><Time><Hour>{}</Hour><Minute>{}</Minute>\
         <Second>{}</Second></Time><Date><Year>{}</Year><Month>{}</Month><Day>{}</Day></Date></UTCDateTime>\
         </SystemDateAndTime>",
        t.hour(),
        t.minute(),
        t.second(),
        t.year(),
        t.month(),
        t.day()
    )
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\">\
         <e:Body><Response>{body}</Response></e:Body></e:Envelope>"
    )
}

fn fault_of(code: &str, reason: &str) -> String {
    envelope(&format!(
        "<e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>{code}</e:Value></e:Subcode></e:Code>\
         <e:Reason><e:Text>{reason}</e:Text></e:Reason></e:Fault>"
    ))
}

fn token_is_right(request: &Answer<'_>, user: &str, password: &str, now: Timestamp) -> bool {
    let created = request.text("Created");
    let Ok(nonce) = BASE64.decode(request.text("Nonce").as_bytes()) else { return false };
    let Ok(at) = created.parse::<Timestamp>() else { return false };
    request.text("Username") == user
        && request.text("Password") == password_digest(&nonce, &created, password)
        && at.duration_since(now).abs() <= SKEW
}

/// RFC 7616 with MD5 and qop "auth".
fn digest_is_right(said: &str, user: &str, password: &str) -> bool {
    let value = |name: &str| {
        let wanted = format!("{name}=");
        said.split([',', ' '])
            .map(str::trim)
            .find_map(|part| part.strip_prefix(&wanted))
            .map(|v| v.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    let hash = |text: String| HEXLOWER.encode(&Md5::digest(text.as_bytes()));
    let who = hash(format!("{user}:sim:{password}"));
    let what = hash(format!("POST:{}", value("uri")));
    let wanted = hash(format!("{who}:{NONCE}:{}:{}:{}:{what}", value("nc"), value("cnonce"), value("qop")));
    value("username") == user && value("response") == wanted
}
