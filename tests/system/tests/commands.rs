//! The way of a command: person → API → rights → row → command channel → agent → event → row.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use region::{RegionPlan, process::until};
use serde_json::json;
use system_tests::stage::{Stage, footage};

#[tokio::test]
async fn a_camera_is_dialled_anew_on_command() -> Result<()> {
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    plan.day = false;
    let stage = Stage::start(plan).await?;
    let hall = stage.region.plan.halls[0].id.clone();
    let camera = format!("{hall}-W01-C1");
    let path = format!("/api/v1/nodes/hall-{hall}/commands");
    let order = json!({"do": "restart_camera", "camera": camera});

    let refused = stage.region.sign_in("supervisor").await?.post(&path, order.clone()).await;
    ensure!(refused.is_err(), "a supervisor may not order a node");
    let technician = stage.region.sign_in("technician").await?;
    let taken = technician.post(&path, order.clone()).await?;
    let id = taken["id"].as_str().context("no id for the command")?.to_owned();
    let done = until("outcome of the command", Duration::from_secs(20), async || {
        let list = technician.get(&path).await?;
        let row = list["items"].as_array().and_then(|rows| rows.iter().find(|row| row["id"] == *id)).cloned();
        Ok(row.filter(|row| !row["done_at"].is_null()))
    })
    .await?;
    println!("done: {done}");
    ensure!(
        done["ok"] == true && done["order"] == order && done["issued_by"] == "tech",
        "not as ordered: {done}"
    );
    let admin = stage.region.sign_in("administrator").await?;
    let events = admin.all(&format!("/api/v1/events?hall={hall}&kind=command.done"), "after").await?;
    ensure!(events.len() == 1 && events[0]["body"]["command"] == *id, "done once, on record: {events:?}");
    let down = admin.all(&format!("/api/v1/events?hall={hall}&kind=camera.down"), "after").await?;
    println!("camera events after the restart: {} down", down.len());

    let unknown =
        technician.post(&path, json!({"do": "restart_camera", "camera": "450103-01-W99-C1"})).await?;
    let id = unknown["id"].as_str().context("no id for the command")?.to_owned();
    let failed = until("refusal of the command", Duration::from_secs(20), async || {
        let list = technician.get(&path).await?;
        let row = list["items"].as_array().and_then(|rows| rows.iter().find(|row| row["id"] == *id)).cloned();
        Ok(row.filter(|row| !row["done_at"].is_null()))
    })
    .await?;
    ensure!(failed["ok"] == false, "a camera that is not there cannot be restarted: {failed}");
    println!("refused by the agent: {}", failed["detail"]);
    stage.end().await
}
