//! Whole conversations with simulated cameras on loopback.

use std::{net::Ipv4Addr, time::Duration};

use jiff::SignedDuration;
use url::Url;

use super::*;
use crate::{
    clock::SystemUtc,
    simulator::onvif::{Behaviour, Fault, OnvifCamera},
};

const LONG: Duration = Duration::from_secs(20);

async fn camera(change: impl FnOnce(&mut Behaviour)) -> OnvifCamera {
    let mut behaviour = Behaviour::sound("10.0.0.2:554");
    change(&mut behaviour);
    OnvifCamera::start(behaviour).await.unwrap()
}

fn user(password: &str) -> Credential {
    Credential { user: "technician".into(), password: password.into() }
}

fn guarded(b: &mut Behaviour) {
    b.user = Some(("technician".into(), "gua&ng<xi".into()));
}

async fn ask(camera: &OnvifCamera, credential: Option<&Credential>) -> Result<CameraDescription, OnvifError> {
    describe(&Url::parse(&camera.xaddr()).unwrap(), credential, &SystemUtc, LONG).await
}

#[tokio::test]
async fn a_camera_is_found_described_and_its_streams_chosen() {
    let camera = camera(|_| {}).await;
    let range =
        Range { hosts: vec!["127.0.0.1".parse().unwrap()], group: camera.discovery(), ..Range::default() };
    let result = discover(&range, &SystemUtc, Duration::from_millis(700)).await.unwrap();
    let [found] = &result.found[..] else { panic!("{result:?}") };
    assert_eq!((found.name.as_deref(), found.hardware.as_deref()), (Some("窗口 7"), Some("SIM-1")));
    assert_eq!(found.xaddrs[0].as_str(), camera.xaddr());
    assert_eq!((result.searched.host_count, result.searched.cut_short), (1, false));
    assert!(camera.probes() >= 2, "a probe is sent again");

    let description = describe(&found.xaddrs[0], None, &SystemUtc, LONG).await.unwrap();
    assert_eq!((description.manufacturer.as_str(), description.model.as_str()), ("Hallwatch", "SIM-1 & Co"));
    assert!(description.time_offset_s.unwrap().abs() < 2.0, "{description:?}");
    let rows: Vec<_> = description
        .profiles
        .iter()
        .map(|p| (p.name.as_str(), p.uri.as_deref(), p.codec, p.width, p.fps, p.gop))
        .collect();
    assert_eq!(
        rows,
        [
            ("main", Some("rtsp://10.0.0.2:554/main"), Encoding::H264, 1920, Some(25.0), Some(50)),
            ("sub", Some("rtsp://10.0.0.2:554/sub"), Encoding::H264, 640, Some(25.0), Some(50)),
        ]
    );
    let snapshot = description.profiles[0].snapshot.as_deref().unwrap();
    assert!(snapshot.ends_with("/onvif/main.jpg"), "{snapshot}");
    let choice = choose(&description.profiles);
    assert_eq!((choice.main, choice.sub), (Some(0), Some(1)));
}

/// docs/reference/devices.md D: multicast, a bare `ProbeMatch`, `http://0.0.0.0/…`.
#[tokio::test]
async fn multicast_finds_a_camera_that_does_not_know_its_own_address() {
    let camera = camera(|b| (b.bare_match, b.nowhere) = (true, true)).await;
    let range = Range {
        interfaces: vec![Ipv4Addr::LOCALHOST],
        group: (discovery::GROUP.ip(), camera.discovery().port()).into(),
        ..Range::default()
    };
    let result = discover(&range, &SystemUtc, Duration::from_millis(700)).await.unwrap();
    let [found] = &result.found[..] else { panic!("{result:?}") };
    assert_eq!(found.xaddrs[0].as_str(), camera.xaddr());
    assert_eq!(result.searched.interfaces, [Ipv4Addr::LOCALHOST]);
    assert!(result.searched.failed.is_empty(), "{result:?}");
}

#[tokio::test]
async fn a_camera_that_answers_no_probe_is_found_by_http() {
    let camera = camera(guarded).await;
    camera.set(|b| b.time_needs_user = true);
    // The discard port: nobody answers probes there.
    let range = Range {
        hosts: vec!["127.0.0.1-3".parse().unwrap()],
        http_ports: vec![camera.http_port()],
        group: (discovery::GROUP.ip(), 9).into(),
        ..Range::default()
    };
    let result = discover(&range, &SystemUtc, Duration::from_secs(2)).await.unwrap();
    let [found] = &result.found[..] else { panic!("{result:?}") };
    assert_eq!(found.xaddrs[0].as_str(), camera.xaddr());
    assert_eq!((result.searched.host_count, &result.searched.http_ports), (3, &vec![camera.http_port()]));
    assert_eq!(camera.wrong_passwords(), 0);
}

#[tokio::test]
async fn a_search_is_bounded() {
    let nowhere = Range::default();
    assert_eq!(discover(&nowhere, &SystemUtc, LONG).await, Err(RangeError::Nothing));
    let huge = Range { hosts: vec!["10.0.0.0/16".parse().unwrap()], ..Range::default() };
    assert_eq!(discover(&huge, &SystemUtc, LONG).await, Err(RangeError::TooLarge(65_534)));
    let camera = camera(|b| b.fault = Some(Fault::Hang)).await;
    let hanging = Range {
        hosts: vec!["127.0.0.1".parse().unwrap()],
        http_ports: vec![camera.http_port()],
        group: (discovery::GROUP.ip(), 9).into(),
        ..Range::default()
    };
    let result = discover(&hanging, &SystemUtc, Duration::from_millis(300)).await.unwrap();
    assert!(result.found.is_empty() && result.searched.cut_short, "{result:?}");
}

#[tokio::test]
async fn the_cameras_own_time_is_used_for_the_password() {
    let password = user("gua&ng<xi");
    for hours in [-30, 0, 24 * 365] {
        let camera = camera(guarded).await;
        camera.set(|b| b.clock = SignedDuration::from_hours(hours));
        let description = ask(&camera, Some(&password)).await.unwrap();
        let offset = description.time_offset_s.unwrap();
        assert!((offset - hours as f64 * 3600.0).abs() < 2.0, "{offset}");
        assert_eq!((description.profiles.len(), camera.wrong_passwords()), (2, 0));
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_said_plainly() {
    let camera = camera(guarded).await;
    let refused = ask(&camera, Some(&user("12345"))).await;
    assert_eq!(refused, Err(OnvifError::Unauthorized { time_known: true }));
    assert_eq!(camera.wrong_passwords(), 1);
    assert!(!format!("{:?}", user("12345")).contains("12345"));
    assert_eq!(ask(&camera, None).await, Err(OnvifError::NeedsCredential));
    // A clock that is wrong and not told looks like a wrong password: the error says so.
    camera.set(|b| (b.time_needs_user, b.clock) = (true, SignedDuration::from_hours(3)));
    let refused = ask(&camera, Some(&user("gua&ng<xi"))).await.unwrap_err();
    assert_eq!(refused, OnvifError::Unauthorized { time_known: false });
    assert!(refused.to_string().contains("clock"), "{refused}");
    assert!(camera.wrong_passwords() <= 2);
    camera.set(|b| b.clock = SignedDuration::from_secs(-90));
    let told = ask(&camera, Some(&user("gua&ng<xi"))).await.unwrap().time_offset_s.unwrap();
    assert!((told + 90.0).abs() < 2.0, "{told}");
}

#[tokio::test]
async fn http_digest_where_the_camera_asks_for_it() {
    let camera = camera(|b| {
        guarded(b);
        b.http_digest = true;
    })
    .await;
    let description = ask(&camera, Some(&user("gua&ng<xi"))).await.unwrap();
    assert_eq!((description.profiles.len(), camera.wrong_passwords()), (2, 0));
    let refused = ask(&camera, Some(&user("12345"))).await;
    assert_eq!(refused, Err(OnvifError::Unauthorized { time_known: true }));
    assert_eq!(camera.wrong_passwords(), 1);
}

#[tokio::test]
async fn old_cameras_and_h265_cameras() {
    let old = camera(|b| b.old = true).await;
    assert_eq!(ask(&old, None).await.unwrap().profiles.len(), 2);
    assert!(old.calls().contains(&"GetCapabilities".to_owned()), "{:?}", old.calls());
    let modern = camera(|b| b.profiles[0].encoding = "H265").await;
    let profiles = ask(&modern, None).await.unwrap().profiles;
    assert_eq!((profiles[0].codec, profiles[0].gop), (Encoding::H265, Some(50)));
    assert_eq!(profiles[0].uri.as_deref(), Some("rtsp://10.0.0.2:554/main"));
    let choice = choose(&profiles);
    assert_eq!((choice.main, choice.sub), (Some(0), Some(1)));
}

#[tokio::test]
async fn cameras_that_do_not_answer_well() {
    let camera = camera(|_| {}).await;
    for fault in [Fault::Garbage, Fault::Endless, Fault::BreakOff] {
        camera.set(|b| b.fault = Some(fault.clone()));
        let answer = ask(&camera, None).await;
        assert!(matches!(answer, Err(OnvifError::NotOnvif(_))), "{fault:?}: {answer:?}");
    }
    camera.set(|b| b.fault = Some(Fault::Hang));
    let xaddr = Url::parse(&camera.xaddr()).unwrap();
    let answer = describe(&xaddr, None, &SystemUtc, Duration::from_millis(300)).await;
    assert_eq!(answer, Err(OnvifError::Timeout));
    drop(camera);
    assert!(matches!(describe(&xaddr, None, &SystemUtc, LONG).await, Err(OnvifError::Connect(_))));
    let secure = Url::parse("https://127.0.0.1/onvif/device_service").unwrap();
    assert!(matches!(describe(&secure, None, &SystemUtc, LONG).await, Err(OnvifError::Address(_))));
}
