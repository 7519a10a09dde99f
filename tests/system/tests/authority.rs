//! The centre's authority is changed under two halls that go on working: both learn the new one, renew by themselves and
//! keep delivering; the former is retired; everything is started again. A third machine holds a copy of what a hall held
//! before: it is refused once the former is retired, and not before.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use region::{
    RegionPlan,
    api::{Api, Method, StatusCode},
    control::Control,
    process::{run, until},
    start::Hall,
};
use serde_json::{Value, json};
use system_tests::{
    compare::settle,
    stage::{Stage, footage, log_line},
};

const LIMIT: Duration = Duration::from_secs(60);

async fn state(api: &Api) -> Result<Value> {
    api.get("/api/v1/authority").await
}

async fn connected(api: &Api, halls: usize) -> Result<()> {
    until("connected agents", LIMIT, async || {
        let nodes = api.get("/api/v1/nodes").await?;
        let up = nodes["items"].as_array().into_iter().flatten().filter(|node| node["connected"] == true);
        Ok((up.count() == halls).then_some(()))
    })
    .await
}

/// The centre's answer to the certificate in `identity`; an error where TLS refuses it.
async fn asked(identity: &Path, ca: &Path, nodes: &str) -> Result<String> {
    let kept: Value = serde_json::from_slice(&std::fs::read(identity)?)?;
    let pem = |key: &str| kept[key].as_str().unwrap_or_default().to_owned();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("certificate.pem");
    std::fs::write(&file, pem("certificate_pem") + &pem("key_pem"))?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is not UTF-8");
    let arguments = [
        "-sS",
        "--cacert",
        &text(ca)?,
        "--cert",
        &text(&file)?,
        "-w",
        "%{http_code}",
        "-o",
        "/dev/null",
        &format!("{nodes}/node/v1/events"),
    ];
    run(Path::new("curl"), &arguments, "").await
}

#[tokio::test]
async fn it_changes_under_halls_that_go_on() -> Result<()> {
    let from = jiff::Timestamp::now();
    let mut plan = RegionPlan::of(2, 1, 0, footage());
    plan.speed = 240.0;
    let mut stage = Stage::start(plan).await?;
    let region = &mut stage.region;
    let mut api = region.sign_in("administrator").await?;
    connected(&api, 2).await?;
    let nodes_at = region.centre.addresses.nodes.clone();
    let first = state(&api).await?;
    ensure!(first["former"].is_null() && first["renewed"] == 2 && first["left"] == 0, "{first}");
    let old_pin = first["signer"]["pin"].clone();
    let copy = stage.region.root.join("copied-identity.json");
    let region = &mut stage.region;
    std::fs::copy(region.halls[0].folder.join("edge/identity/identity.json"), &copy)?;

    // One hall is away at the beginning, and learns of it when it is back.
    Control(region.halls[1].sim.control).day(false).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    region.halls[1].edge.stop(Duration::from_secs(8)).await?;
    let begun = api.post("/api/v1/authority/change", json!({})).await?;
    ensure!(begun["former"]["pin"] == old_pin && begun["signer"]["pin"] != old_pin, "{begun}");
    let new_ca = region.root.join("new-ca.pem");
    std::fs::write(&new_ca, begun["signer"]["pem"].as_str().unwrap_or_default())?;
    let again = api.status(Method::POST, "/api/v1/authority/change", Some(json!({}))).await?;
    ensure!(again == StatusCode::CONFLICT, "{again}");
    let one = until("renewed hall", LIMIT, async || {
        let now = state(&api).await?;
        Ok((now["renewed"] == 1).then_some(now))
    })
    .await?;
    ensure!(one["left"] == 1, "{one}");
    let early = api.status(Method::POST, "/api/v1/authority/retirement", Some(json!({}))).await?;
    ensure!(early == StatusCode::CONFLICT, "nobody is left behind unnamed: {early}");
    ensure!(asked(&copy, &new_ca, &nodes_at).await? == "200", "the former's certificate is taken meanwhile");
    // A code that goes with the former's pin is as good as one of today's, as long as both are there.
    let hall = &mut region.halls[1];
    Hall::pair(hall.edge_config_path(), &hall.plan.id, &region.centre, &api).await?;
    hall.restart_edge()?;
    connected(&api, 2).await?;
    Control(hall.sim.control).day(true).await?;
    let both = until("two renewed halls", LIMIT, async || {
        let now = state(&api).await?;
        Ok((now["renewed"] == 2).then_some(now))
    })
    .await?;
    println!("both halls hold certificates of {}", both["signer"]["pin"]);

    let after = api.post("/api/v1/authority/retirement", json!({})).await?;
    ensure!(after["former"].is_null() && after["signer"]["pin"] == begun["signer"]["pin"], "{after}");
    let refused = until("refusal of a former certificate", LIMIT, async || {
        Ok(asked(&copy, &new_ca, &nodes_at).await.err().map(|error| format!("{error:#}")))
    })
    .await?;
    println!("a machine with the former's certificate: {}", refused.lines().last().unwrap_or_default());
    // The people's site shows the new one now, without having been started anew.
    until("site of the new authority", LIMIT, async || {
        Ok(region.centre.api()?.get("/api/v1/openapi.json").await.ok().map(|_| ()))
    })
    .await?;
    api = region.sign_in("administrator").await?;
    connected(&api, 2).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    for hall in &region.halls {
        Control(hall.sim.control).day(false).await?;
    }
    for hall in &region.halls {
        let id = &hall.plan.id;
        let difference = settle(&api, id, &hall.oracle_path(), from, Duration::from_secs(30)).await?;
        println!("{id}: agreed {:?}", difference.agreed);
        ensure!(difference.is_none(), "{id}: the record differs from what happened:\n{difference:#?}");
        ensure!(difference.agreed.iter().any(|(_, n)| *n > 0), "{id}: nothing happened; this shows nothing");
    }

    for hall in &mut region.halls {
        hall.edge.stop(Duration::from_secs(8)).await?;
    }
    region.centre.process.stop(Duration::from_secs(8)).await?;
    region.centre.restart().await?;
    ensure!(region.centre.addresses.pin == after["signer"]["pin"].as_str().unwrap_or_default());
    for hall in &mut region.halls {
        hall.restart_edge()?;
    }
    api = region.sign_in("administrator").await?;
    connected(&api, 2).await?;
    for hall in &region.halls {
        let tickets = async || {
            let path = format!("/api/v1/events?hall={}&kind=ticket.issued", hall.plan.id);
            anyhow::Ok(api.all(&path, "after").await?.len())
        };
        let before = tickets().await?;
        Control(hall.sim.control).day(true).await?;
        until("ticket after the start of everything", LIMIT, async || {
            Ok((tickets().await? > before).then_some(()))
        })
        .await?;
    }
    let said = api.get("/api/v1/audit?action=authority.").await?;
    let actions: Vec<&str> =
        said["items"].as_array().into_iter().flatten().filter_map(|row| row["action"].as_str()).collect();
    let steps =
        ["retired", "node_renewed", "node_renewed", "change_begun"].map(|step| format!("authority.{step}"));
    ensure!(actions == steps, "{said}");

    // A machine that was off during all of it: it does not know the centre any more, and says what to do.
    let hall = &mut region.halls[0];
    hall.edge.stop(Duration::from_secs(8)).await?;
    std::fs::copy(&copy, hall.folder.join("edge/identity/identity.json"))?;
    hall.restart_edge()?;
    let log = hall.folder.join("edge-agent.log");
    log_line("edge-agent", &log, "pair this machine anew with a new code", LIMIT).await?;
    hall.edge.stop(Duration::from_secs(8)).await?;
    Hall::pair(hall.edge_config_path(), &hall.plan.id, &region.centre, &api).await?;
    hall.restart_edge()?;
    connected(&api, 2).await?;
    stage.end().await
}
