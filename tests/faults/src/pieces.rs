//! The full numbers, in pieces: each is written down when it is done, so that a run can be ended and gone on with.

use std::{
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{Scenario, lot::Lot, tally::Tally};

/// Each scenario with its pieces and how often it plays in each: 1,000 kills of either side, 200 power cuts of a machine and
/// 200 by model, as many of the centre's, 200 full disks of either side, 200 cut links, 10,000 cases of batches, and of the others some.
const PIECES: [(Scenario, u64, u64); 14] = [
    (Scenario::MachinePowerCuts, 20, 10),
    (Scenario::RecordedPowerCuts, 2, 10),
    (Scenario::PowerCuts, 10, 20),
    (Scenario::Clocks, 2, 2),
    (Scenario::RestoredCentre, 2, 5),
    (Scenario::ClonedEdge, 2, 3),
    (Scenario::Storm, 1, 100),
    (Scenario::StuckViewers, 1, 50),
    (Scenario::FullDisk, 10, 20),
    (Scenario::CentrePowerCuts, 10, 20),
    (Scenario::CentreFullDisk, 10, 20),
    (Scenario::Batches, 10, 1_000),
    (Scenario::Kills, 20, 50),
    (Scenario::Partitions, 10, 20),
];

#[derive(Serialize, Deserialize)]
struct Done {
    piece: String,
    seed: u64,
    seconds: u64,
    tally: Tally,
}

/// Does what is left, or as much of it as `minutes` allow, and sums up all that was done with this seed.
pub(crate) async fn run(file: &Path, minutes: u64, seed: u64) -> Result<Tally> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut done: Vec<Done> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    done.retain(|piece| piece.seed == seed);
    let until = Instant::now() + Duration::from_secs(minutes.saturating_mul(60));
    let longest = PIECES.iter().map(|(_, pieces, _)| *pieces).max().unwrap_or(0);
    // One piece of each after the other, so that a run that is cut short has something of everything.
    'all: for number in 0..longest {
        for (at, (scenario, pieces, count)) in PIECES.iter().enumerate() {
            let piece = format!("{scenario:?} {number}");
            if number >= *pieces || done.iter().any(|d| d.piece == piece) {
                continue;
            }
            if Instant::now() > until {
                break 'all;
            }
            let begun = Instant::now();
            let lot = Lot::new(seed.wrapping_add(number * 1_000 + at as u64));
            let tally = scenario.play(*count, lot).await.with_context(|| piece.clone())?;
            let piece = Done { piece, seed, seconds: begun.elapsed().as_secs(), tally };
            let mut line = serde_json::to_vec(&piece)?;
            line.push(b'\n');
            std::fs::File::options().create(true).append(true).open(file)?.write_all(&line)?;
            println!("piece {} done in {} s: {}", piece.piece, piece.seconds, piece.tally);
            done.push(piece);
        }
    }
    let all: u64 = PIECES.iter().map(|(_, pieces, _)| pieces).sum();
    println!("{} of {all} pieces are done", done.len());
    let mut tally = Tally::default();
    done.into_iter().for_each(|piece| tally.join(piece.tally));
    Ok(tally)
}
