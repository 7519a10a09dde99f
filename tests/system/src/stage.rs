//! A small region for one test, in a folder of its own, on ports of its own.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use region::{
    Region, RegionPlan,
    api::Api,
    process::{lasting_address, run, until},
    start::{Hall, write_edge_config},
};
use serde_json::Value;
use simulated_hall::footage::{Cache, Clip, Recipe};

/// A region that ends with the test, and its folder.
pub struct Stage {
    /// The region.
    pub region: Region,
    folder: tempfile::TempDir,
}

/// Where encoded footage is kept between tests.
pub fn footage() -> PathBuf {
    workspace().join("target/footage")
}

/// The project's folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

/// The folder of given clips: `HALLWATCH_CLIPS`, or `../shared/clips` beside the project; `None` where there is none, and
/// then a test draws its own footage and says so.
pub fn clips() -> Option<PathBuf> {
    let given = std::env::var_os("HALLWATCH_CLIPS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| workspace().join("../shared/clips"));
    folder.is_dir().then_some(folder)
}

/// The file `name` of the given clips; where there is none, footage of our own written to `folder`, and that is said.
pub fn clip(name: &str, folder: &Path) -> Result<PathBuf> {
    if let Some(given) = clips().map(|folder| folder.join(name)).filter(|path| path.is_file()) {
        println!("footage: {name}");
        return Ok(given);
    }
    println!("footage: {name} is not there; drawn footage in its place");
    let recipe = if name.contains("sub") { Recipe::sub(901, "OWN") } else { Recipe::main(901, "OWN") };
    let path = folder.join(name).with_extension("h264");
    std::fs::write(&path, byte_stream(&Cache::new(footage()).clip(&recipe)?))?;
    Ok(path)
}

fn byte_stream(clip: &Clip) -> Vec<u8> {
    let mut stream = Vec::new();
    for sample in &clip.samples {
        for set in clip.parameters.iter().filter(|_| sample.key) {
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(set);
        }
        let mut rest: &[u8] = &sample.avcc;
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let (nal, after) = tail.split_at(tail.len().min(u32::from_be_bytes(*length) as usize));
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(nal);
            rest = after;
        }
    }
    stream
}

/// A clip with B-frames or in H.265: the given one, or a test picture that ffmpeg encodes in the way the name says.
pub async fn odd_clip(name: &str, folder: &Path) -> Result<PathBuf> {
    if let Some(given) = clips().map(|folder| folder.join(name)).filter(|path| path.is_file()) {
        println!("footage: {name}");
        return Ok(given);
    }
    println!("footage: {name} is not there; a test picture in its place");
    let path = folder.join(name);
    let codec: &[&str] =
        if name.contains("h265") { &["libx265", "-tag:v", "hvc1"] } else { &["libx264", "-bf", "2"] };
    let source = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=12.5:duration=8"];
    let target = path.to_str().context("a path that is not UTF-8")?;
    let arguments: Vec<&str> =
        source.iter().chain(&["-g", "25", "-c:v"]).chain(codec).chain(&[target]).copied().collect();
    run(Path::new("ffmpeg"), &arguments, "").await?;
    Ok(path)
}

/// Stops the hall's agent, changes its configuration, and starts it again.
pub async fn reconfigure(hall: &mut Hall, change: impl FnOnce(&mut Value)) -> Result<()> {
    hall.edge.stop(Duration::from_secs(8)).await?;
    let path = hall.edge_config_path().to_owned();
    let file: toml::Table = std::fs::read_to_string(&path)?.parse()?;
    let mut config = serde_json::to_value(file)?;
    change(&mut config);
    write_edge_config(&path, &config)?;
    hall.restart_edge()
}

/// Adds a camera to an agent's configuration, over no window.
pub fn add_camera(config: &mut Value, camera: Value) {
    if let Some(cameras) = config["camera"].as_array_mut() {
        cameras.push(camera);
    }
}

/// Waits until the centre's row of `camera` is as `wanted`; gives it. Says the last row where that does not come.
pub async fn camera_row(
    api: &Api,
    camera: &str,
    limit: Duration,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let mut last = Value::Null;
    let found = until("such row", limit, async || {
        let rows = api.get("/api/v1/cameras").await?;
        last = rows["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|row| row["id"] == camera)
            .cloned()
            .unwrap_or_default();
        Ok(wanted(&last).then(|| last.clone()))
    })
    .await;
    found.with_context(|| format!("the row of {camera} is {last}"))
}

/// Waits until `log` says `words`; gives the line.
pub async fn log_line(what: &str, log: &Path, words: &str, limit: Duration) -> Result<String> {
    let found = until("such line", limit, async || {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        Ok(text.lines().rev().find(|line| line.contains(words)).map(str::to_owned))
    })
    .await;
    found.with_context(|| format!("{what}: its log never says \"{words}\""))
}

impl Stage {
    /// Starts `plan` and waits until every camera is live.
    pub async fn start(plan: RegionPlan) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (site, nodes) = (lasting_address()?, lasting_address()?);
        let region = Region::start(plan, folder.path(), &site, &nodes, |line| println!("{line}")).await;
        match region {
            Ok(region) => Ok(Self { region, folder }),
            Err(error) => {
                // The logs are what explains a start that failed; they must outlive the folder.
                let kept = folder.keep();
                Err(error.context(format!("the region did not start; its files are in {}", kept.display())))
            }
        }
    }

    /// Where the region's files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends everything; fails if a program did not end when asked.
    pub async fn end(mut self) -> Result<()> {
        self.region.stop().await
    }
}

/// How long a still may take, asked for again and again.
const STILL: Duration = Duration::from_secs(90);

/// A still of `camera`. The centre answers that there is none now when no key frame comes within its own patience, and it is
/// asked again.
pub async fn still(api: &Api, camera: &str) -> Result<Bytes> {
    let path = format!("/api/v1/cameras/{camera}/still.jpg");
    let mut asked = 0;
    let still = until("still", STILL, async || {
        asked += 1;
        Ok(api.bytes(&path).await.ok())
    })
    .await?;
    println!("{camera}: a still at the {asked}. try, {} bytes", still.len());
    Ok(still)
}
