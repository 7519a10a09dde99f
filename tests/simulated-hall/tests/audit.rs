//! The camera audit over real RTSP: what it says of streams whose makers we know.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::{sync::Arc, time::Duration};

use device_drivers::{
    camera::{
        CameraSource, PullEnd, Transport,
        audit::{AuditPlan, AuditReport, Change, Role, Verdict, What, audit},
    },
    clock::SystemUtc,
};
use simulated_hall::{
    footage::{Recipe, encode},
    rtsp::{Authentication, CameraSpec, Credentials, Fault, FaultOrder, Footage, Server, ServerSetup, Tier},
};
use tokio_util::sync::CancellationToken;

async fn serve(recipe: Recipe) -> (Server, CancellationToken) {
    let clip = tokio::task::spawn_blocking(move || Arc::new(encode(&recipe).unwrap())).await.unwrap();
    let cancel = CancellationToken::new();
    let credentials = Credentials {
        authentication: Authentication::Digest,
        user: "viewer".into(),
        password: "a secret".into(),
    };
    let cameras =
        vec![CameraSpec { name: "W07".into(), credentials, streams: vec![(Tier::Main, Footage::new(clip))] }];
    let setup = ServerSetup { listen: "127.0.0.1:0".parse().unwrap(), cameras, stamp: false };
    (Server::start(setup, cancel.clone()).await.unwrap(), cancel)
}

async fn audited(server: &Server, password: &str, role: Role, seconds: u64) -> Result<AuditReport, PullEnd> {
    let source = CameraSource {
        url: server.url("W07", Tier::Main).parse().unwrap(),
        user: "viewer".into(),
        password: password.into(),
        transport: Transport::Tcp,
        sound: false,
    };
    let plan = AuditPlan { play: Duration::from_secs(seconds), ..AuditPlan::of(role) };
    audit(&source, &SystemUtc, plan, &CancellationToken::new()).await
}

fn small(gop: u16) -> Recipe {
    Recipe { width: 320, height: 180, rate: (25, 1), gop, gops: 1, ..Recipe::sub(712, "W07") }
}

#[tokio::test]
async fn a_good_stream_is_good() {
    let (server, _cancel) = serve(small(25)).await;
    let report = audited(&server, "a secret", Role::Sub, 4).await.unwrap();
    println!("{report:#?}");
    let m = &report.measured;
    assert_eq!((report.verdict, m.codec, m.width, m.height), (Verdict::Good, "h264", 320, 180));
    let gop = m.gop.as_ref().unwrap();
    assert!(gop.regular && gop.frames == 25 && gop.whole >= 2, "{gop:?}");
    assert!((m.fps.unwrap() - 25.0).abs() < 1.5 && (m.stamped_fps.unwrap() - 25.0).abs() < 0.2, "{m:?}");
    assert_eq!((m.b_frames, m.lost_packets, m.jumps, &m.ended), (false, 0, 0, &None));
}

#[tokio::test]
async fn a_long_group_says_which_interval_to_set() {
    let (server, _cancel) = serve(small(100)).await;
    let report = audited(&server, "a secret", Role::Sub, 5).await.unwrap();
    let long = report.findings.iter().find(|f| matches!(f.what, What::GopLong { .. })).expect("it is long");
    assert_eq!(long.change, Some(Change::KeyFrameInterval { frames: 50 }));
    assert_eq!(report.verdict, Verdict::Usable);
}

#[tokio::test]
async fn jumps_ends_and_refusals() {
    let (server, cancel) = serve(small(25)).await;
    let refused = audited(&server, "wrong", Role::Sub, 3).await;
    assert_eq!(refused, Err(PullEnd::Unauthorized));
    let (report, ()) = tokio::join!(audited(&server, "a secret", Role::Sub, 3), async {
        while server.count("W07", Tier::Main).unwrap().pictures < 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let order = FaultOrder { camera: "W07".into(), fault: Fault::TimestampJump, seconds: -300.0 };
        server.order(&order).await.unwrap();
    });
    let report = report.unwrap();
    assert!(report.findings.iter().any(|f| f.what == What::TimesJump { count: 1 }), "{report:?}");
    let before = server.count("W07", Tier::Main).unwrap().pictures;
    let (report, ()) = tokio::join!(audited(&server, "a secret", Role::Sub, 20), async {
        while server.count("W07", Tier::Main).unwrap().pictures < before + 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    });
    let report = report.unwrap();
    assert_eq!(report.verdict, Verdict::Unfit);
    assert!(report.findings.iter().any(|f| matches!(f.what, What::EndedEarly { .. })), "{report:?}");
}
