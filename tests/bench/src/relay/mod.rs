//! `bench relay`: N cameras to M viewers through Hallwatch, and the same load in the same run from the same cameras
//! through `ffmpeg -c copy`, a GStreamer relay, and a bare copy loop.
//!
//! Every picture carries the time at which it left its camera; every viewer notes when it had the picture whole. One who
//! watches the first cameras directly does the same, and the difference, picture by picture, is what a relay adds. All
//! clocks are one machine's clock. The simulated cameras and the viewers (all in this program) have their own rows, so
//! that a relay's CPU is its own. Each relay has its cameras, viewers and patience alike; what cannot be alike (ffmpeg
//! and the copy loop take no newcomers, the copy loop knows no pictures) is left out and shown as "–".

mod copies;
mod course;
mod hallwatch;
mod report;
mod viewer;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, Result};
use region::process::Process;
use serde::Serialize;

use self::{
    copies::{Ffmpeg, Floor, GStreamer, written},
    course::{Outcome, Times},
    hallwatch::Hallwatch,
    viewer::enter_directly,
};
use crate::{cameras::Cameras, machine::Machine, percentiles::Spread};

/// How long the kernel's buffers take the pictures of one camera (2 Mb/s) for a viewer that does not read, before its
/// relay notices: about ten megabytes.
const FILLING: Duration = Duration::from_secs(45);
/// Footage is encoded at the first run on a machine.
const FOOTAGE_PATIENCE: Duration = Duration::from_secs(300);

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Order {
    /// Cameras, if not given by --shapes.
    #[arg(long)]
    cameras: Option<usize>,
    /// Viewers, each watching every camera, if not given by --shapes.
    #[arg(long)]
    viewers: Option<usize>,
    /// How long all viewers are measured, s.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How long a viewer does not read, s; without it as long as the measurement, and longer with few cameras, until
    /// the kernel's buffers are full.
    #[arg(long)]
    stuck_seconds: Option<u64>,
    /// Cameras × viewers, one measurement for each.
    #[arg(long, value_delimiter = ',', default_value = "1x1,64x1,1x64,16x16")]
    shapes: Vec<Shape>,
    /// What to measure: hallwatch, ffmpeg, gstreamer, floor.
    #[arg(long, value_delimiter = ',', default_value = "hallwatch,ffmpeg,gstreamer,floor")]
    systems: Vec<System>,
    /// Bit rate of a camera, kb/s.
    #[arg(long, default_value_t = 2000)]
    kilobits: u32,
    /// The agent also looks at the pictures it passes on: black, frozen, moved, the seat. Without it what is measured is the
    /// relay alone, as with the others.
    #[arg(long)]
    inspection: bool,
    /// A first look within a minute: small shapes, few seconds.
    #[arg(long)]
    quick: bool,
    /// Writes everything measured to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where encoded footage is kept from one run to the next.
    #[arg(long, default_value = "target/bench/footage")]
    footage: PathBuf,
    /// Keeps the programs' files and logs here, instead of in a folder that is deleted.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// A relay by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum System {
    Hallwatch,
    Ffmpeg,
    Gstreamer,
    Floor,
}

/// How many watch how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Cameras.
    pub cameras: usize,
    /// Viewers, each of whom watches every camera.
    pub viewers: usize,
}

impl Shape {
    /// Streams that leave the relay.
    pub fn streams(self) -> usize {
        self.cameras * self.viewers
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("{text}: not of the form CAMERASxVIEWERS, such as 64x1");
        let (cameras, viewers) = text.split_once(['x', '×']).ok_or_else(form)?;
        let number = |text: &str| {
            text.trim().parse().ok().filter(|number| (1..=200).contains(number)).ok_or_else(form)
        };
        Ok(Self { cameras: number(cameras)?, viewers: number(viewers)? })
    }
}

/// What one shape gave.
#[derive(Debug, Serialize)]
struct Round {
    shape: Shape,
    kilobits: f64,
    largest_unit: usize,
    /// First picture for somebody who dials the camera itself, ms.
    direct_cold_ms: Option<Spread>,
    load_before: String,
    load_after: String,
    outcomes: Vec<Outcome>,
    failures: Vec<String>,
}

#[derive(Serialize)]
struct Whole<'a> {
    machine: &'a Machine,
    seconds: f64,
    rounds: &'a [Round],
}

/// Measures and prints; never judges. A relay that fails is said so and the others go on.
pub async fn run(order: &Order) -> Result<()> {
    let machine = Machine::here();
    machine.print();
    let mut shapes = order.shapes.clone();
    if order.cameras.is_some() || order.viewers.is_some() {
        shapes = vec![Shape { cameras: order.cameras.unwrap_or(64), viewers: order.viewers.unwrap_or(1) }];
    } else if order.quick {
        shapes = vec![Shape { cameras: 4, viewers: 1 }, Shape { cameras: 1, viewers: 4 }];
    }
    let second = Duration::from_secs(1);
    let times = if order.quick {
        Times { idle: second / 2, settle: second / 2, measured: 2 * second, stuck: second, entries: 2 }
    } else {
        let measured = Duration::from_secs(order.seconds.max(1));
        let stuck = order.stuck_seconds.map_or(measured, Duration::from_secs);
        Times { idle: 3 * second, settle: 2 * second, measured, stuck, entries: 5 }
    };
    std::fs::create_dir_all(&order.footage).context("the footage folder")?;
    let scratch = tempfile::tempdir()?;
    let root = order.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    let mut rounds = Vec::new();
    for shape in shapes {
        let folder = root.join(format!("{}x{}", shape.cameras, shape.viewers));
        let mut times = times;
        if order.stuck_seconds.is_none() && !order.quick {
            times.stuck = times.stuck.max(FILLING / shape.cameras as u32);
        }
        let round = measure(order, shape, times, &folder).await?;
        report::print(&round, times.measured.as_secs_f64());
        rounds.push(round);
        if let Some(path) = &order.json {
            let whole = Whole { machine: &machine, seconds: times.measured.as_secs_f64(), rounds: &rounds };
            region::ready::write_json(path, &whole)?;
        }
    }
    report::print_targets();
    Ok(())
}

async fn measure(order: &Order, shape: Shape, times: Times, folder: &Path) -> Result<Round> {
    let load_before = crate::machine::load();
    let (mut cameras_process, cameras) = start_cameras(order, shape, folder).await?;
    let id = cameras_process.id().context("the cameras have ended")?;
    let (mut outcomes, mut failures, mut direct) = (Vec::new(), Vec::new(), Vec::new());
    for camera in 0..times.entries.min(shape.cameras) {
        direct.push(enter_directly(&cameras, camera).await?.first_ms);
    }
    for system in &order.systems {
        cameras_process.check()?;
        let folder = folder.join(format!("{system:?}").to_lowercase());
        std::fs::create_dir_all(&folder)?;
        // What runs is ended when the relay is dropped, before the next one starts.
        let outcome = async {
            match system {
                System::Hallwatch => {
                    let mut relay = Hallwatch::start(&cameras, shape, order.inspection, &folder).await?;
                    course::run(&mut relay, &cameras, id, shape, times).await
                }
                System::Ffmpeg => {
                    let mut relay = Ffmpeg::new(&cameras, &folder);
                    course::run(&mut relay, &cameras, id, shape, times).await
                }
                System::Gstreamer => {
                    let mut relay = GStreamer::start(&cameras, shape, &folder).await?;
                    course::run(&mut relay, &cameras, id, shape, times).await
                }
                System::Floor => {
                    let mut relay = Floor::start(&cameras, shape, &folder).await?;
                    course::run(&mut relay, &cameras, id, shape, times).await
                }
            }
        };
        match outcome.await {
            Ok(outcome) => outcomes.push(outcome),
            Err(why) => failures.push(format!("{system:?}: {why:#}")),
        }
    }
    let load_after = crate::machine::load();
    let (kilobits, largest_unit) = (cameras.kilobits, cameras.largest);
    let direct_cold_ms = Spread::of(direct);
    Ok(Round { shape, kilobits, largest_unit, direct_cold_ms, load_before, load_after, outcomes, failures })
}

async fn start_cameras(order: &Order, shape: Shape, folder: &Path) -> Result<(Process, Cameras)> {
    std::fs::create_dir_all(folder)?;
    let ready = folder.join("cameras.json");
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is not UTF-8");
    let arguments = [
        "serve-cameras".to_owned(),
        format!("--cameras={}", shape.cameras),
        format!("--kilobits={}", order.kilobits),
        format!("--footage={}", text(&order.footage)?),
        format!("--ready={}", text(&ready)?),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let me = std::env::current_exe().context("where this program is")?;
    let mut process = Process::start("cameras", &me, &arguments, &[], &folder.join("cameras.log"))?;
    let cameras = written(&mut process, &ready, FOOTAGE_PATIENCE).await?;
    Ok((process, cameras))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_or_refused() {
        assert_eq!("64x1".parse::<Shape>(), Ok(Shape { cameras: 64, viewers: 1 }));
        assert_eq!("16×16".parse::<Shape>().map(Shape::streams), Ok(256));
        for wrong in ["64", "0x1", "1x", "x", "201x1", "-1x2"] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }
}
