//! The judgement: the list of frames that keypads had answered, held against the record at the centre.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use region::api::Api;
use serde_json::Value;

use crate::{
    keypads::{Frame, Meaning},
    stage::{PATIENCE, Stage},
    tally::Tally,
};

/// What of the record a frame can be.
type Key = (Meaning, String);

#[derive(Debug, Default)]
struct Found {
    lost: Vec<String>,
    doubled: Vec<String>,
    invented: Vec<String>,
    altered: Vec<String>,
    gaps: Vec<String>,
}

/// Ends the presses, waits until everything is where it should be (or is not after 90 s), and counts. Whatever is wrong is
/// printed line by line.
///
/// # Errors
/// The stage itself does not answer any more.
pub(crate) async fn judge(stage: &mut Stage, name: &str) -> Result<Tally> {
    let begun = Instant::now();
    // An agent that has ended by itself answers nobody.
    while let Err(error) = stage.keypads.rest(Duration::from_secs(2)).await {
        if stage.revive()? {
            continue;
        }
        if begun.elapsed() > PATIENCE {
            return Err(error.context(format!("{name}: the hall does not come to rest")));
        }
    }
    let api = stage.api().await?;
    let frames = stage.keypads.frames();
    let found = loop {
        let found = compare(&api, &stage.hall, &frames).await?;
        if found.lost.is_empty() || begun.elapsed() > PATIENCE {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let lists = [
        ("lost", &found.lost),
        ("doubled", &found.doubled),
        ("invented", &found.invented),
        ("altered", &found.altered),
        ("gap", &found.gaps),
    ];
    for (what, list) in lists {
        for line in list.iter().take(20) {
            println!("{name}: {what}: {line}");
        }
    }
    let mut tally = Tally {
        lost: found.lost.len() as u64,
        doubled: found.doubled.len() as u64,
        invented: (found.invented.len() + found.altered.len()) as u64,
        gaps: found.gaps.len() as u64,
        ..Tally::default()
    };
    tally.add("frames", frames.iter().filter(|frame| frame.acknowledged).count() as u64);
    Ok(tally)
}

/// The quarantine that the centre has put on the stage's node, if any.
pub(crate) async fn quarantine(api: &Api) -> Result<Option<String>> {
    let nodes = api.get("/api/v1/nodes").await?;
    Ok(nodes["items"][0]["quarantined"].as_str().map(str::to_owned))
}

async fn compare(api: &Api, hall: &str, frames: &[Frame]) -> Result<Found> {
    let events = api.all(&format!("/api/v1/events?hall={hall}"), "after").await?;
    let mut found = Found::default();
    let mut seen: BTreeMap<Key, Vec<&Value>> = BTreeMap::new();
    let mut places: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for event in &events {
        let number = |name: &str| event[name].as_u64().with_context(|| format!("an event without {name}"));
        let (epoch, seq) = (number("epoch")?, number("seq")?);
        if !places.entry(epoch).or_default().insert(seq) {
            found.doubled.push(format!("event {seq} of epoch {epoch} is on record twice"));
        }
        let meaning = match event["kind"].as_str() {
            Some("ticket.called") => Meaning::Called,
            Some("service.started") => Meaning::Started,
            _ => continue,
        };
        let ticket = event["body"]["ticket"].as_str().unwrap_or_default().to_owned();
        seen.entry((meaning, ticket)).or_default().push(event);
    }
    for (epoch, places) in &places {
        let mut before = 0;
        for seq in places {
            if *seq != before + 1 {
                found.gaps.push(format!("epoch {epoch}: event {seq} follows {before}"));
            }
            before = *seq;
        }
    }
    for frame in frames {
        let on_record = seen.remove(&(frame.meaning, frame.ticket.clone())).unwrap_or_default();
        let window = format!("{hall}-W{:02}", frame.window);
        match on_record.as_slice() {
            [] if frame.acknowledged => found.lost.push(format!("{frame:?}")),
            [] => {}
            [event] if event["window"] != *window => found.altered.push(format!("{frame:?} as {event}")),
            [_] => {}
            [_, more @ ..] => {
                found.doubled.extend(more.iter().map(|event| format!("{frame:?} again as {event}")));
            }
        }
    }
    // What is left over was sent by nobody.
    found.invented.extend(seen.into_values().flatten().map(|event| event.to_string()));
    Ok(found)
}
