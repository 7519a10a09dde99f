//! A small region for one test, in a folder of its own, on ports of its own.

use std::path::{Path, PathBuf};

use anyhow::Result;
use region::{Region, RegionPlan};

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

impl Stage {
    /// Starts `plan` and waits until every camera is live.
    pub async fn start(plan: RegionPlan) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let region =
            Region::start(plan, folder.path(), "127.0.0.1:0", "127.0.0.1:0", |line| println!("{line}")).await;
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
