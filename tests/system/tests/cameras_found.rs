//! A camera that is not ours is found, described, chosen from and audited: the virtual camera ipycam. That it plays on the
//! wall is `independent_cameras`' matter. (Issue "Real window hardware", "What it must show", 2.)

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, ensure};
use device_drivers::{
    camera::{
        CameraSource, Transport,
        audit::{AuditPlan, Role, Verdict, What, audit},
        onvif::{Credential, OnvifError, Range, choose, describe, discover, discovery::GROUP},
    },
    clock::SystemUtc,
};
use system_tests::peer::Peer;
use tokio_util::sync::CancellationToken;
use url::Url;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn ipycam_is_found_described_and_audited() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let arguments = ["--discovery", "--user", "technician", "--password", "gua&ng<xi", "--fps", "20"];
    let peer = Peer::ipycam_with(&arguments, &folder.path().join("ipycam.log")).await?;
    let onvif = peer.urls.onvif.as_deref().context("no ONVIF")?;
    let port = peer.urls.discovery.context("no discovery")?.port();

    // One by one, and by multicast.
    let alone =
        Range { hosts: vec!["127.0.0.1".parse()?], group: (GROUP.ip(), port).into(), ..Range::default() };
    let all =
        Range { interfaces: vec![Ipv4Addr::LOCALHOST], group: (GROUP.ip(), port).into(), ..Range::default() };
    for range in [alone, all] {
        let result = discover(&range, &SystemUtc, Duration::from_secs(2)).await?;
        println!("{:?}", result.searched);
        let [found] = &result.found[..] else { anyhow::bail!("{result:?}") };
        // ipycam does not escape the space in "virtual camera"; scopes are words.
        ensure!(found.name.as_deref() == Some("virtual"), "{found:?}");
        ensure!(found.xaddrs.first().map(Url::as_str) == Some(onvif), "{found:?}");
    }

    let xaddr = Url::parse(onvif)?;
    let user = |password: &str| Credential { user: "technician".into(), password: password.into() };
    let refused = describe(&xaddr, Some(&user("12345")), &SystemUtc, LONG).await;
    ensure!(matches!(refused, Err(OnvifError::Unauthorized { .. })), "{refused:?}");
    let refused = describe(&xaddr, None, &SystemUtc, LONG).await;
    ensure!(refused == Err(OnvifError::NeedsCredential), "{refused:?}");
    let description = describe(&xaddr, Some(&user("gua&ng<xi")), &SystemUtc, LONG).await?;
    println!("{description:#?}");
    ensure!(description.profiles.len() == 2 && description.moves);
    ensure!(description.time_offset_s.is_some_and(|s| s.abs() < 5.0), "{description:?}");
    let choice = choose(&description.profiles);
    ensure!((choice.main, choice.sub) == (Some(0), Some(1)), "{choice:?}");
    ensure!(description.profiles[0].uri.as_deref() == Some(peer.urls.main.as_str()), "{description:?}");
    ensure!(description.profiles[1].uri.as_deref() == Some(peer.urls.sub.as_str()), "{description:?}");

    for (at, role) in [(0, Role::Main), (1, Role::Sub)] {
        let profile = &description.profiles[at];
        let source = CameraSource {
            url: Url::parse(profile.uri.as_deref().context("no address")?)?,
            user: String::new(),
            password: String::new(),
            transport: Transport::Tcp,
            sound: false,
        };
        let plan = AuditPlan { told_fps: profile.fps.map(f64::from), ..AuditPlan::of(role) };
        let report = audit(&source, &SystemUtc, plan, &CancellationToken::new()).await?;
        println!("{report:#?}");
        let m = &report.measured;
        ensure!((m.codec, m.profile) == ("h264", Some("Constrained Baseline")), "{m:?}");
        ensure!((m.width, m.height) == (profile.width, profile.height), "{m:?}");
        ensure!(!m.b_frames && m.lost_packets == 0 && m.jumps == 0, "{m:?}");
        ensure!(m.told_fps == Some(20.0), "{m:?}");
        // On a loaded machine ipycam draws fewer pictures than it tells: that is what the audit is for.
        let fps = m.fps.context("no frame rate")?;
        ensure!((5.0..=22.0).contains(&fps), "{m:?}");
        let slow = report
            .findings
            .iter()
            .any(|f| matches!(f.what, What::FewerFrames { .. } | What::FewFrames { .. }));
        ensure!(slow == (fps < 18.0), "{report:?}");
        let gop = m.gop.as_ref().context("no key frame")?;
        ensure!(gop.regular && gop.frames == 40, "ipycam sets a key frame every 2 s: {gop:?}");
        ensure!(report.verdict != Verdict::Unfit, "{report:?}");
    }
    Ok(())
}
