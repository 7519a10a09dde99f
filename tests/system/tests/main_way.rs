//! The main way, end to end: bytes of devices → edge agent → control centre → what the centre says, compared by identity
//! with what the simulated hall did.

use std::time::Duration;

use anyhow::{Result, ensure};
use region::{RegionPlan, control::Control};
use system_tests::{
    compare::settle,
    stage::{Stage, footage},
};

#[tokio::test]
async fn the_record_is_what_happened() -> Result<()> {
    let from = jiff::Timestamp::now();
    let mut plan = RegionPlan::of(2, 4, 1, footage());
    plan.speed = 60.0;
    let stage = Stage::start(plan).await?;
    let api = stage.region.sign_in("administrator").await?;
    let minutes = std::env::var("HALLWATCH_TEST_MINUTES").ok().and_then(|m| m.parse().ok()).unwrap_or(1.5);
    tokio::time::sleep(Duration::from_secs_f64(minutes * 60.0)).await;
    for hall in &stage.region.halls {
        Control(hall.sim.control).day(false).await?;
    }
    let mut events = Vec::new();
    for hall in &stage.region.halls {
        let id = &hall.plan.id;
        let difference = settle(&api, id, &hall.oracle_path(), from, Duration::from_secs(20)).await?;
        println!("{id}: agreed {:?}", difference.agreed);
        ensure!(difference.is_none(), "{id}: the record differs from what happened:\n{difference:#?}");
        let count = |kind| difference.agreed.iter().find(|(k, _)| *k == kind).map_or(0, |(_, n)| *n);
        for kind in ["ticket", "call", "rating", "case", "punch", "sign-in"] {
            ensure!(count(kind) > 0, "{id}: the day brought no {kind}; the test would show nothing");
        }
        events.extend(api.all(&format!("/api/v1/events?hall={id}"), "after").await?);
    }
    every_window_event_in_a_case_says_so(&events)?;
    let coverage = api.get("/api/v1/coverage").await?;
    println!("coverage: {coverage}");
    stage.end().await
}

fn every_window_event_in_a_case_says_so(events: &[serde_json::Value]) -> Result<()> {
    let mut untagged = 0;
    for event in events {
        let kind = event["kind"].as_str().unwrap_or_default();
        let of_case = ["ticket.", "service.", "case."].iter().any(|prefix| kind.starts_with(prefix))
            || matches!(kind, "rating.invited" | "rating.given" | "rating.timed_out");
        ensure!(!of_case || event["case"].is_string(), "an event of a case without its case ID: {event}");
        untagged += usize::from(event["case"].is_null());
    }
    println!("{} events, {untagged} of them outside any case", events.len());
    Ok(())
}
