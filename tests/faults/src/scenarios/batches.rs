//! Property cases: a journal's events in batches cut anywhere, doubled, overlapping, in any order, also within a batch, over
//! TLS into a centre. Whatever the way, the record is the journal.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context, Result, ensure};
use control_protocol::{Happening, StoredEvent, UtcMillis, chain::ChainEnd};
use region::{RegionPlan, api::Api, plan::import_file, process::lasting_address, start::Centre};
use serde_json::Value;

use faults::nodes::Node;

use crate::{lot::Lot, stage::passwords, tally::Tally};

/// Nodes that send at the same time.
const NODES: usize = 4;

/// Plays `count` cases; each has a seed that is printed if it fails.
pub(crate) async fn run(count: u64, mut lot: Lot) -> Result<Tally> {
    let begun = Instant::now();
    let folder = tempfile::Builder::new().prefix("hallwatch-batches-").tempdir()?;
    let plan = RegionPlan::of(NODES, 1, 0, folder.path().join("no-footage"));
    let passwords = passwords(&plan);
    let mut centre = Centre::start(
        folder.path(),
        &import_file(&plan, &passwords),
        &lasting_address()?,
        &lasting_address()?,
    )
    .await?;
    let admin = centre.api()?.sign_in("admin", &passwords[0]).await?;
    let mut lanes = Vec::new();
    for (at, hall) in plan.halls.iter().enumerate() {
        let node = Node::enrol(&centre, &admin, &hall.id).await?;
        let cases = count / NODES as u64 + u64::from((at as u64) < count % NODES as u64);
        lanes.push(lane(node, admin.clone(), cases, lot.branch()));
    }
    let mut tally = Tally::default();
    for lane in futures_util::future::join_all(lanes).await {
        tally.join(lane?);
    }
    println!("batches: {tally} in {:.1} s", begun.elapsed().as_secs_f64());
    centre.process.stop(std::time::Duration::from_secs(30)).await?;
    Ok(tally)
}

async fn lane(node: Node, api: Api, cases: u64, mut lot: Lot) -> Result<Tally> {
    let now = jiff::Timestamp::now().as_millisecond();
    let mut issued: BTreeMap<(u64, u64), StoredEvent> = BTreeMap::new();
    let mut seeds = BTreeMap::new();
    for case in 0..cases {
        let seed = lot.next();
        let epoch = u64::try_from(now)? + case;
        seeds.insert(epoch, seed);
        let events = journal(&node, epoch, UtcMillis(now), seed)?;
        send(&node, &events, epoch, seed).await.with_context(|| format!("case of seed {seed}"))?;
        issued.extend(events.into_iter().map(|event| ((epoch, event.event.seq), event)));
    }
    let mut tally = Tally::default();
    tally.add("batches", cases);
    tally.add("events_in_batches", issued.len() as u64);
    let nodes = api.get(&format!("/api/v1/nodes?hall={}", node.hall)).await?;
    ensure!(nodes["items"][0]["quarantined"].is_null(), "{} is in quarantine", node.id);
    for event in api.all(&format!("/api/v1/events?hall={}", node.hall), "after").await? {
        let key = (event["epoch"].as_u64().unwrap_or(0), event["seq"].as_u64().unwrap_or(0));
        match issued.remove(&key) {
            Some(sent) if serde_json::from_slice::<Value>(&sent.bytes)? == event => {}
            Some(_) => tally.invented += 1,
            None if seeds.contains_key(&key.0) => tally.doubled += 1,
            None => tally.invented += 1,
        }
    }
    tally.lost += issued.len() as u64;
    for (epoch, seq) in issued.keys().take(10) {
        println!("batches: lost: event {seq} of the case of seed {:?}", seeds.get(epoch));
    }
    Ok(tally)
}

fn journal(node: &Node, epoch: u64, at: UtcMillis, seed: u64) -> Result<Vec<StoredEvent>> {
    let mut lot = Lot::new(seed);
    let mut end = ChainEnd::start(epoch);
    (0..lot.below(1, 40))
        .map(|n| {
            let reason = Some(format!("{seed}-{n}"));
            let happening = if lot.once_in(2) { Happening::WindowPaused { reason } } else { begun(seed, n) };
            node.seal(&mut end, at.plus(n as i64), happening)
        })
        .collect()
}

fn begun(seed: u64, n: u64) -> Happening {
    Happening::NodeStarted { version: format!("{seed}-{n}"), boot: "synthetic".into() }
}

/// Any batches in any order, and then what an agent does: ask how far the centre is, and send on from there.
async fn send(node: &Node, events: &[StoredEvent], epoch: u64, seed: u64) -> Result<()> {
    let mut lot = Lot::new(seed ^ 0x5EED);
    for _ in 0..lot.below(0, 7) {
        let from = lot.below(0, events.len() as u64) as usize;
        let to = (from + lot.below(1, 16) as usize).min(events.len());
        let mut lines: Vec<&[u8]> = events[from..to].iter().map(|event| event.bytes.as_ref()).collect();
        if lot.once_in(3) {
            lines.extend_from_within(..lot.below(0, lines.len() as u64 + 1) as usize);
        }
        if lot.once_in(2) {
            lot.shuffle(&mut lines);
        }
        node.post(lines.iter().copied()).await?;
        if lot.once_in(4) {
            node.post(lines.iter().copied()).await?;
        }
    }
    for _ in 0..events.len() + 2 {
        let mark = node.mark().await?.filter(|mark| mark.epoch == epoch).map_or(0, |mark| mark.seq as usize);
        if mark == events.len() {
            return Ok(());
        }
        let to = (mark + lot.below(1, 12) as usize).min(events.len());
        node.post(events[mark..to].iter().map(|event| event.bytes.as_ref())).await?;
    }
    anyhow::bail!("the mark never reaches the end")
}
