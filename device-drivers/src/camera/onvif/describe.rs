//! What a camera is, and which streams it has.

use std::{net::IpAddr, time::Duration};

use jiff::{SignedDuration, Timestamp, civil};
use roxmltree::Node;
use serde::Serialize;
use url::Url;

use super::{
    call::{Call, Caller, Credential, OnvifError},
    soap::{Answer, escaped, find, text_of, within},
};
use crate::clock::UtcClock;

const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const MEDIA2: &str = "http://www.onvif.org/ver20/media/wsdl";
/// Profiles looked at: an eight-channel recorder has 24.
const PROFILES: usize = 32;

/// A stream's codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// H.264.
    H264,
    /// H.265.
    H265,
    /// Motion JPEG.
    Jpeg,
    /// Anything else, or not told.
    Other,
}

/// A stream as the camera describes it; the audit finds what is true.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// The camera's own name for it in calls.
    pub token: String,
    /// Its name for people.
    pub name: String,
    /// `rtsp://…`, without user and password.
    pub uri: Option<String>,
    /// Where one picture can be fetched.
    pub snapshot: Option<String>,
    /// Its codec.
    pub codec: Encoding,
    /// Pixels; 0 = not told.
    pub width: u32,
    /// Pixels; 0 = not told.
    pub height: u32,
    /// Frames a second, at most.
    pub fps: Option<f32>,
    /// Frames from key frame to key frame.
    pub gop: Option<u32>,
    /// Bit rate, at most, in kbit/s.
    pub kbps: Option<u32>,
}

impl Profile {
    /// Size of the picture.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// What a camera says it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CameraDescription {
    /// Its maker.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// Its firmware's version.
    pub firmware: String,
    /// Its serial number.
    pub serial: String,
    /// The camera's clock minus ours, in seconds; `None` if it does not tell.
    pub time_offset_s: Option<f64>,
    /// Its streams, in its order.
    pub profiles: Vec<Profile>,
    /// It can be moved.
    pub moves: bool,
}

/// Asks the camera at `xaddr` (`http://…/onvif/device_service`) what it is. Every call has its own limit and all together
/// `deadline`. The password is tried at most twice, in the two ways there are.
///
/// # Errors
/// Why it could not be asked.
pub async fn describe(
    xaddr: &Url,
    credential: Option<&Credential>,
    clock: &dyn UtcClock,
    deadline: Duration,
) -> Result<CameraDescription, OnvifError> {
    tokio::time::timeout(deadline, ask(xaddr, credential, clock))
        .await
        .map_err(|_elapsed| OnvifError::Timeout)?
}

/// The camera's clock minus ours, its answer being of some moment between `asked` and now.
fn offset_since(asked: Timestamp, theirs: Timestamp, clock: &dyn UtcClock) -> SignedDuration {
    let now = clock.utc_now();
    let ours = asked.checked_add(now.duration_since(asked) / 2).unwrap_or(now);
    theirs.duration_since(ours)
}

async fn ask(
    xaddr: &Url,
    credential: Option<&Credential>,
    clock: &dyn UtcClock,
) -> Result<CameraDescription, OnvifError> {
    let mut caller = Caller::new(credential, clock);
    let asked = clock.utc_now();
    let mut offset = match time_of(&caller, xaddr).await {
        Ok(theirs) => Some(offset_since(asked, theirs, clock)),
        Err(error @ (OnvifError::Connect(_) | OnvifError::Timeout | OnvifError::Address(_))) => {
            return Err(error);
        }
        Err(_) => None,
    };
    if let Some(offset) = offset {
        caller.set_offset(offset);
    }
    let call = |name, namespace| Call { name, namespace, content: "" };
    let text = caller.call(xaddr, call("GetDeviceInformation", DEVICE)).await?;
    let device = parse(&text)?;
    let (manufacturer, model, firmware, serial) = (
        device.text("Manufacturer"),
        device.text("Model"),
        device.text("FirmwareVersion"),
        device.text("SerialNumber"),
    );
    if offset.is_none() {
        // It tells its time to users only. Nothing depends on it any more; a person wants to know.
        let asked = clock.utc_now();
        if let Ok(text) = caller.call(xaddr, call("GetSystemDateAndTime", DEVICE)).await {
            let theirs = parse(&text)?.all("UTCDateTime").next().and_then(date_time);
            offset = theirs.map(|theirs| offset_since(asked, theirs, clock));
        }
    }
    let services = services(&mut caller, xaddr).await?;
    let mut profiles = Vec::new();
    if let Some(media) = &services.media {
        profiles = profiles_of(&mut caller, media, MEDIA, xaddr).await?;
    }
    // The first media service knows no H.265: what it calls nothing is described by the second.
    if let Some(media2) = &services.media2
        && (profiles.is_empty() || profiles.iter().any(|p| p.codec == Encoding::Other))
    {
        match profiles_of(&mut caller, media2, MEDIA2, xaddr).await {
            Ok(newer) if !newer.is_empty() => profiles = newer,
            Ok(_) | Err(OnvifError::Fault { .. } | OnvifError::NotOnvif(_)) if !profiles.is_empty() => {}
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(CameraDescription {
        manufacturer,
        model,
        firmware,
        serial,
        time_offset_s: offset.map(|o| o.as_secs_f64()),
        profiles,
        moves: services.moves,
    })
}

pub(super) fn parse(text: &str) -> Result<Answer<'_>, OnvifError> {
    Answer::parse(text).map_err(|e| OnvifError::NotOnvif(e.to_string()))
}

/// What time the camera has. Asked without a user, as the specification has it.
pub(super) async fn time_of(caller: &Caller<'_>, xaddr: &Url) -> Result<Timestamp, OnvifError> {
    let call = Call { name: "GetSystemDateAndTime", namespace: DEVICE, content: "" };
    let text = caller.open_call(xaddr, call).await?;
    let answer = parse(&text)?;
    let no_time = || OnvifError::NotOnvif("it does not tell its time".to_owned());
    answer.all("UTCDateTime").next().and_then(date_time).ok_or_else(no_time)
}

fn date_time(node: Node<'_, '_>) -> Option<Timestamp> {
    let number = |name: &str| text_of(find(node, &[name])?).parse::<i16>().ok();
    let small = |name: &str| number(name).and_then(|n| i8::try_from(n).ok());
    // A leap second is the second before it, here.
    let second = small("Second")?.min(59);
    civil::DateTime::new(
        number("Year")?,
        small("Month")?,
        small("Day")?,
        small("Hour")?,
        small("Minute")?,
        second,
        0,
    )
    .ok()?
    .to_zoned(jiff::tz::TimeZone::UTC)
    .ok()
    .map(|z| z.timestamp())
}

struct Services {
    media: Option<Url>,
    media2: Option<Url>,
    ptz: Option<Url>,
    moves: bool,
}

/// Where the camera's media service is, and its PTZ service if it has one.
pub(super) async fn ptz_services(
    caller: &mut Caller<'_>,
    xaddr: &Url,
) -> Result<(Url, Option<Url>), OnvifError> {
    let found = services(caller, xaddr).await?;
    Ok((found.media.unwrap_or_else(|| xaddr.clone()), found.ptz))
}

async fn services(caller: &mut Caller<'_>, xaddr: &Url) -> Result<Services, OnvifError> {
    let mut found = Services { media: None, media2: None, ptz: None, moves: false };
    let content = "<IncludeCapability>false</IncludeCapability>";
    let call = Call { name: "GetServices", namespace: DEVICE, content };
    match caller.call(xaddr, call).await {
        Ok(text) => {
            let answer = parse(&text)?;
            for service in answer.all("Service") {
                let namespace = find(service, &["Namespace"]).map(text_of).unwrap_or_default();
                let address = find(service, &["XAddr"]).map(text_of).and_then(|a| usable_url(&a, xaddr));
                match namespace.as_str() {
                    MEDIA => found.media = address,
                    MEDIA2 => found.media2 = address,
                    n if n.contains("/ptz/") => (found.moves, found.ptz) = (true, address),
                    _ => {}
                }
            }
        }
        // Older than GetServices.
        Err(OnvifError::Fault { .. } | OnvifError::NotOnvif(_)) => {}
        Err(error) => return Err(error),
    }
    if found.media.is_none() {
        let call = Call { name: "GetCapabilities", namespace: DEVICE, content: "<Category>All</Category>" };
        match caller.call(xaddr, call).await {
            Ok(text) => {
                let answer = parse(&text)?;
                let address = |name: &str| {
                    answer
                        .all("Capabilities")
                        .find_map(|c| find(c, &[name, "XAddr"]))
                        .map(text_of)
                        .and_then(|a| usable_url(&a, xaddr))
                };
                found.media = address("Media");
                found.ptz = found.ptz.take().or_else(|| address("PTZ"));
                found.moves |= found.ptz.is_some();
            }
            Err(OnvifError::Fault { .. } | OnvifError::NotOnvif(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if found.media.is_none() && found.media2.is_none() {
        // Simple cameras answer everything at one address.
        found.media = Some(xaddr.clone());
    }
    Ok(found)
}

async fn profiles_of(
    caller: &mut Caller<'_>,
    media: &Url,
    namespace: &'static str,
    xaddr: &Url,
) -> Result<Vec<Profile>, OnvifError> {
    let second = namespace == MEDIA2;
    let content = if second { "<Type>VideoEncoder</Type>" } else { "" };
    let text = caller.call(media, Call { name: "GetProfiles", namespace, content }).await?;
    let mut profiles: Vec<Profile> = {
        let answer = parse(&text)?;
        answer.all("Profiles").filter_map(profile_of).take(PROFILES).collect()
    };
    for profile in &mut profiles {
        let token = format!("<ProfileToken>{}</ProfileToken>", escaped(&profile.token));
        let content = if second {
            format!("<Protocol>RtspUnicast</Protocol>{token}")
        } else {
            format!(
                "<StreamSetup><Stream xmlns=\"http://www.onvif.org/ver10/schema\">RTP-Unicast</Stream>\
                 <Transport xmlns=\"http://www.onvif.org/ver10/schema\"><Protocol>RTSP</Protocol></Transport>\
                 </StreamSetup>{token}"
            )
        };
        profile.uri = uri(caller, media, Call { name: "GetStreamUri", namespace, content: &content }).await?;
        profile.uri = profile.uri.take().and_then(|u| usable_uri(&u, xaddr, &["rtsp"]));
        let snapshot = Call { name: "GetSnapshotUri", namespace, content: &token };
        profile.snapshot = uri(caller, media, snapshot).await?;
        profile.snapshot = profile.snapshot.take().and_then(|u| usable_uri(&u, xaddr, &["http", "https"]));
    }
    Ok(profiles)
}

/// The address in an answer; `None` if the camera has none for this profile.
async fn uri(caller: &mut Caller<'_>, media: &Url, call: Call<'_>) -> Result<Option<String>, OnvifError> {
    match caller.call(media, call).await {
        Ok(text) => Ok(Some(parse(&text)?.text("Uri")).filter(|u| !u.is_empty())),
        Err(OnvifError::Fault { .. } | OnvifError::NotOnvif(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn profile_of(node: Node<'_, '_>) -> Option<Profile> {
    let token = node.attribute("token")?.to_owned();
    let encoder = find(node, &["VideoEncoderConfiguration"]).or_else(|| find(node, &["VideoEncoder"]));
    let text = |path: &[&'static str]| encoder.and_then(|e| find(e, path)).map(text_of).unwrap_or_default();
    let number = |path: &[&'static str]| text(path).parse::<u32>().ok();
    let codec = match text(&["Encoding"]).to_ascii_uppercase().as_str() {
        "H264" => Encoding::H264,
        "H265" | "HEVC" => Encoding::H265,
        "JPEG" => Encoding::Jpeg,
        _ => Encoding::Other,
    };
    let name = node.children().find(|n| n.tag_name().name() == "Name").map(text_of).unwrap_or_default();
    let told = |n: &u32| *n > 0;
    Some(Profile {
        name: if name.is_empty() { token.clone() } else { name },
        token,
        uri: None,
        snapshot: None,
        codec,
        width: number(&["Resolution", "Width"]).unwrap_or(0).min(16_384),
        height: number(&["Resolution", "Height"]).unwrap_or(0).min(16_384),
        fps: text(&["RateControl", "FrameRateLimit"])
            .parse::<f32>()
            .ok()
            .filter(|f| (0.1..=240.0).contains(f)),
        gop: number(&["GovLength"])
            .or_else(|| encoder.and_then(|e| e.attribute("GovLength")).and_then(|g| g.parse().ok()))
            .filter(told),
        kbps: number(&["RateControl", "BitrateLimit"]).filter(told),
    })
}

/// An address of the camera's, made good: many name a host that only they themselves can reach.
pub(super) fn usable_url(address: &str, asked: &Url) -> Option<Url> {
    let mut url = Url::parse(address.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https" | "rtsp") {
        return None;
    }
    // An rtsp URL's host is an opaque text to the parser, even where it is a number.
    let host = url.host_str()?.trim_matches(['[', ']']);
    let unreachable = match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_loopback() => !is_loopback(asked),
        Ok(IpAddr::V4(ip)) => ip.is_unspecified() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_unspecified(),
        // Names of the camera's own network are in no hall's DNS.
        Err(_) => !host.contains('.') || host.ends_with(".local"),
    };
    if unreachable && asked.host_str().is_some_and(|host| url.host_str() != Some(host)) {
        url.set_host(asked.host_str()).ok()?;
    }
    // Never set in a URL of ours: credentials are kept apart. Fails only for URLs that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(url)
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host(), Some(url::Host::Ipv4(ip)) if ip.is_loopback())
}

fn usable_uri(address: &str, asked: &Url, schemes: &[&str]) -> Option<String> {
    usable_url(address, asked).filter(|u| schemes.contains(&u.scheme())).map(String::from)
}

/// The camera's clock minus ours by one question that needs no user.
///
/// # Errors
/// The camera cannot be asked, or does not tell.
pub async fn clock_offset(xaddr: &Url, clock: &dyn UtcClock) -> Result<SignedDuration, OnvifError> {
    let caller = Caller::new(None, clock);
    let asked = clock.utc_now();
    let theirs = time_of(&caller, xaddr).await?;
    Ok(offset_since(asked, theirs, clock))
}

/// For a fuzz target: everything that reads an answer, on one text.
#[doc(hidden)]
pub fn read_any(text: &str) -> usize {
    let Ok(answer) = Answer::parse(text) else { return 0 };
    let Ok(asked) = Url::parse("http://10.0.0.2/onvif/device_service") else { return 0 };
    let profiles: Vec<_> = answer.all("Profiles").filter_map(profile_of).take(PROFILES).collect();
    let times = within_all(&answer);
    let uri = usable_uri(&answer.text("Uri"), &asked, &["rtsp"]);
    super::choose(&profiles).why.len() + times + usize::from(uri.is_some())
}

fn within_all(answer: &Answer<'_>) -> usize {
    answer.all("UTCDateTime").filter_map(date_time).count()
        + answer.all("Service").flat_map(|s| within(s, "XAddr")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_only_the_camera_can_reach_are_made_good() {
        let asked = Url::parse("http://10.0.0.2:8080/onvif/device_service").unwrap();
        let good = |address: &str| usable_url(address, &asked).map(String::from);
        // docs/reference/devices.md D: "some announce http://0.0.0.0/…".
        assert_eq!(good("http://0.0.0.0/onvif/media").unwrap(), "http://10.0.0.2/onvif/media");
        assert_eq!(good("rtsp://127.0.0.1:554/a?b=1").unwrap(), "rtsp://10.0.0.2:554/a?b=1");
        assert_eq!(good("rtsp://169.254.3.4/a").unwrap(), "rtsp://10.0.0.2/a");
        assert_eq!(good("rtsp://ipcam/a").unwrap(), "rtsp://10.0.0.2/a");
        assert_eq!(good("rtsp://10.0.0.9:8554/a").unwrap(), "rtsp://10.0.0.9:8554/a");
        assert_eq!(good("rtsp://admin:12345@10.0.0.2/a").unwrap(), "rtsp://10.0.0.2/a");
        assert_eq!(good("javascript:1"), None);
        assert_eq!(usable_uri("http://10.0.0.2/a", &asked, &["rtsp"]), None);
    }

    #[test]
    fn profiles_of_both_media_services() {
        let text = r#"<e><Profiles token="P1" fixed="true"><tt:Name xmlns:tt="x">main</tt:Name>
            <VideoEncoderConfiguration token="V"><Name>enc</Name><Encoding>H264</Encoding><Resolution><Width>1920</Width>
            <Height>1080</Height></Resolution><RateControl><FrameRateLimit>25</FrameRateLimit><BitrateLimit>4096</BitrateLimit>
            </RateControl><H264><GovLength>50</GovLength></H264></VideoEncoderConfiguration></Profiles>
            <Profiles token="P2"><Name>two</Name><Configurations><VideoEncoder token="V2" GovLength="100" Profile="Main">
            <Encoding>H265</Encoding><Resolution><Width>640</Width><Height>360</Height></Resolution><RateControl
            ConstantBitRate="true"><FrameRateLimit>12.5</FrameRateLimit><BitrateLimit>512</BitrateLimit></RateControl>
            </VideoEncoder></Configurations></Profiles><Profiles token="P3"/></e>"#;
        let answer = Answer::parse(text).unwrap();
        let got: Vec<_> = answer.all("Profiles").filter_map(profile_of).collect();
        let rows: Vec<_> =
            got.iter().map(|p| (p.name.as_str(), p.codec, p.width, p.height, p.fps, p.gop, p.kbps)).collect();
        assert_eq!(
            rows,
            [
                ("main", Encoding::H264, 1920, 1080, Some(25.0), Some(50), Some(4096)),
                ("two", Encoding::H265, 640, 360, Some(12.5), Some(100), Some(512)),
                ("P3", Encoding::Other, 0, 0, None, None, None),
            ]
        );
        assert!(read_any(text) > 0);
    }
}
