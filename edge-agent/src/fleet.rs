//! The hall's cameras as its positions have them: pulled, recorded and held for, and no others.
//!
//! It follows what is wanted and opens nothing itself; what is wanted is decided in [`pairing`](crate::pairing).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use control_protocol::{CameraId, WindowId};
use device_drivers::clock::MonotonicClock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    cameras::{Cameras, Setup, source},
    config::{Camera, Recording},
    recorder::{Recorder, RecorderError},
    vault::{Secret, Vault},
};

/// The cameras of each window.
pub type OfWindows = HashMap<WindowId, Vec<CameraId>>;

/// A camera with the secret that it signs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Known {
    camera: Camera,
    secret: Option<Secret>,
}

/// Reads the secrets of cameras. A camera without its password is refused by itself, and says so; the others go on.
///
/// # Errors
/// The thread that read them died.
pub async fn known(vault: &Vault, cameras: Vec<Camera>) -> anyhow::Result<Vec<Known>> {
    let vault = vault.clone();
    let read = tokio::task::spawn_blocking(move || {
        let known = |camera: Camera| {
            let secret = camera.credential.as_ref().and_then(|name| {
                let refused =
                    |e| tracing::error!(camera = %camera.id, "the camera will refuse: credential {name}: {e}");
                vault.get(name).map_err(refused).ok()
            });
            Known { camera, secret }
        };
        cameras.into_iter().map(known).collect()
    });
    Ok(read.await?)
}

/// Where the pictures of cameras come from.
pub fn setups(known: &[Known], recording: &Recording, clock: &Arc<dyn MonotonicClock>) -> Vec<Setup> {
    known.iter().map(|known| known.setup(recording, clock)).collect()
}

impl Known {
    fn setup(&self, recording: &Recording, clock: &Arc<dyn MonotonicClock>) -> Setup {
        let password = self.secret.as_ref().map_or("", Secret::reveal);
        source::rtsp(&self.camera, password, recording.sound_of(&self.camera.id), clock)
    }
}

/// Which cameras each window has.
pub fn of_windows(cameras: &[Camera]) -> OfWindows {
    let mut found = OfWindows::new();
    for camera in cameras {
        if let Some(window) = &camera.window {
            found.entry(window.clone()).or_default().push(camera.id.clone());
        }
    }
    found
}

/// Makes what runs agree with what is wanted.
pub struct Follower {
    /// What is wanted, as it changes.
    pub wanted: watch::Receiver<Vec<Camera>>,
    /// What runs.
    pub running: Vec<Known>,
    /// Where it runs.
    pub cameras: Cameras,
    /// Who records it.
    pub recorder: Option<Recorder>,
    /// What of it is recorded.
    pub recording: Recording,
    /// Told of each window's cameras.
    pub of_windows: watch::Sender<OfWindows>,
    /// Secrets.
    pub vault: Vault,
    /// Time.
    pub clock: Arc<dyn MonotonicClock>,
}

impl Follower {
    /// Follows until `cancel`.
    ///
    /// # Errors
    /// The secrets cannot be read.
    pub async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        loop {
            let changed = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                changed = self.wanted.changed() => changed,
            };
            if changed.is_err() {
                cancel.cancelled().await;
                return Ok(());
            }
            let wanted = self.wanted.borrow_and_update().clone();
            self.follow(wanted).await?;
        }
    }

    async fn follow(&mut self, wanted: Vec<Camera>) -> anyhow::Result<()> {
        self.of_windows.send_replace(of_windows(&wanted));
        let wanted = known(&self.vault, wanted).await?;
        let had: BTreeMap<CameraId, Known> =
            self.running.drain(..).map(|known| (known.camera.id.clone(), known)).collect();
        for id in had.keys().filter(|id| wanted.iter().all(|known| known.camera.id != **id)) {
            tracing::info!(camera = %id, "the camera is taken away");
            self.cameras.remove(id);
        }
        for known in &wanted {
            let id = &known.camera.id;
            if had.get(id) == Some(known) {
                continue;
            }
            tracing::info!(camera = %id, again = had.contains_key(id), "the camera is put in");
            self.cameras.put(known.setup(&self.recording, &self.clock)).await;
            let Some(recorder) = self.recorder.as_ref().filter(|_| !self.recording.except.contains(id))
            else {
                continue;
            };
            match recorder.record(id, known.camera.window.clone()).await {
                Ok(()) => {}
                // It has said why already.
                Err(RecorderError::Closed(why)) => tracing::warn!(camera = %id, "not recorded: {why}"),
                Err(e) => tracing::error!(camera = %id, "not recorded: {e}"),
            }
        }
        self.running = wanted;
        Ok(())
    }
}
