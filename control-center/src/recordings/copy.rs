//! Viewing copies of clips, with who took them and when burnt into every picture. A copy is coded anew by GStreamer's own program in
//! a process of its own, a set number at a time; the original is read and never changed, and the copy proves nothing.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use control_protocol::{UtcMillis, footage::ClipPlan};
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use tokio::{
    process::Command,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::site::problem::Problem;

/// Copies made at once, unless the configuration says otherwise.
pub const USUAL_AT_ONCE: usize = 1;
/// The longest clip that is copied.
const LONGEST_US: i64 = 3_600_000_000;
/// The largest.
const LARGEST: u64 = 2 << 30;
/// The longest a copy may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// The longest name that is written, in characters.
const LONGEST_NAME: usize = 40;
/// The program, of the package gstreamer1.0-tools.
const PROGRAM: &str = "gst-launch-1.0";

/// Turns for making copies; cheap to clone.
#[derive(Clone)]
pub struct Copies(Arc<Semaphore>);

impl Copies {
    /// So many at once.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.max(1))))
    }

    /// A turn, if there is one now and the clip is not too long.
    pub(super) fn turn(&self, plan: &ClipPlan) -> Result<OwnedSemaphorePermit, Problem> {
        if plan.bytes > LARGEST || plan.ends_us.saturating_sub(plan.starts_us) > LONGEST_US {
            return Err(Problem::unprocessable(
                "a copy is made of at most an hour and 2 GiB: take the original, or a shorter stretch",
            ));
        }
        self.0.clone().try_acquire_owned().map_err(|_| {
            let mut problem = Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "another copy is being made: try again in a while",
            );
            problem.retry_after = Some(30);
            problem
        })
    }
}

/// What is written into the pictures. Only letters, digits and what is harmless: it is read as markup and as a pipeline.
pub(super) fn words(name: &str, at: UtcMillis) -> String {
    let harmless = |c: char| if c.is_alphanumeric() || " .-@".contains(c) { c } else { '_' };
    let name: String = name.chars().take(LONGEST_NAME).map(harmless).collect();
    format!("{name} {}", at.timestamp().strftime("%Y-%m-%d %H:%M:%SZ"))
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoCopy {
    /// The original did not come whole.
    #[error("the original did not come whole: {0}")]
    Original(io::Error),
    /// The disk.
    #[error("the centre cannot write it: {0}")]
    Disk(#[from] io::Error),
    /// There is no GStreamer here.
    #[error(
        "copies are made by GStreamer, which is not on the centre's machine: install gstreamer1.0-tools, gstreamer1.0-x, \
         gstreamer1.0-plugins-good, -bad, -ugly and gstreamer1.0-libav"
    )]
    NoProgram,
    /// It could not.
    #[error("GStreamer could not make it: {0}")]
    Failed(String),
}

impl From<NoCopy> for Problem {
    fn from(error: NoCopy) -> Self {
        let status = match &error {
            NoCopy::Original(_) => StatusCode::BAD_GATEWAY,
            NoCopy::NoProgram => StatusCode::NOT_IMPLEMENTED,
            NoCopy::Disk(error) if error.kind() == io::ErrorKind::StorageFull => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            NoCopy::Disk(_) | NoCopy::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::warn!(%error, "a viewing copy could not be made");
        }
        Self::new(status, error.to_string())
    }
}

/// Makes the copy of what `original` brings; gives the file, which has no name any more.
pub(super) async fn make(
    folder: &Path,
    original: impl Stream<Item = io::Result<Bytes>> + Send,
    words: &str,
) -> Result<File, NoCopy> {
    let folder = folder.to_owned();
    let begun = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        let place = tempfile::Builder::new().prefix("copy-").tempdir_in(&folder)?;
        Ok::<_, io::Error>((File::create_new(place.path().join("in.mp4"))?, place))
    });
    let (mut file, place) = begun.await.map_err(io::Error::other)??;
    let mut parts = std::pin::pin!(original);
    while let Some(part) = parts.next().await {
        let part = part.map_err(NoCopy::Original)?;
        let wrote = tokio::task::spawn_blocking(move || file.write_all(&part).map(|()| file));
        file = wrote.await.map_err(io::Error::other)??;
    }
    drop(file);
    launch(PROGRAM, place.path(), words).await?;
    let opened = tokio::task::spawn_blocking(move || {
        let file = File::open(place.path().join("out.mp4"));
        drop(place);
        file
    });
    Ok(opened.await.map_err(io::Error::other)??)
}

async fn launch(program: &str, place: &Path, words: &str) -> Result<(), NoCopy> {
    const READ: &str = "filesrc location=in.mp4 ! decodebin ! videoconvert ! textoverlay valignment=top \
        halignment=left xpad=8 ypad=8 shaded-background=true shading-value=200";
    const WRITE: &str = "! videoconvert ! x264enc speed-preset=veryfast key-int-max=50 ! h264parse ! mp4mux faststart=true \
        ! filesink location=out.mp4";
    // The event path comes first, whatever is copied.
    let child = Command::new("nice")
        .args(["-n", "10", program, "-q"])
        .args(READ.split_ascii_whitespace())
        .args([format!("text=\"{words}\""), "font-desc=\"Sans 14\"".to_owned()])
        .args(WRITE.split_ascii_whitespace())
        .current_dir(place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, child)
        .await
        .map_err(|_| NoCopy::Failed("it took more than a quarter of an hour".to_owned()))??;
    // As `nice` says that there is no such program.
    if output.status.code() == Some(127) {
        return Err(NoCopy::NoProgram);
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(NoCopy::Failed(said.lines().next().unwrap_or_default().chars().take(200).collect()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_a_name_and_a_time_and_nothing_else() {
        let at = UtcMillis(1_795_309_200_000);
        assert_eq!(words("王丽娜", at), "王丽娜 2026-11-22 01:00:00Z");
        let odd = words("a\" ! filesink location=/x <b>&\\\n", at);
        assert_eq!(odd, "a_ _ filesink location__x _b____ 2026-11-22 01:00:00Z");
        assert!(words(&"x".repeat(500), at).len() < 70);
    }

    #[tokio::test]
    async fn a_machine_without_the_program_says_what_to_install() {
        let place = tempfile::tempdir().unwrap();
        let error = launch("no-such-program-anywhere", place.path(), "x").await.unwrap_err();
        assert!(matches!(error, NoCopy::NoProgram), "{error}");
    }
}
