//! Independent cameras and printers: programs that are none of this project's, started for one test and ended with it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use region::process::{Process, until};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::workspace;

/// How long a peer may take until it can be watched: ipycam imports OpenCV first.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running peer. It ends when it is dropped.
pub struct Peer {
    /// Its process.
    pub process: Process,
    /// Where it is watched.
    pub urls: Urls,
}

/// What a peer prints when it can be watched.
#[derive(Debug, Clone, Deserialize)]
pub struct Urls {
    /// The main stream.
    pub main: String,
    /// The sub stream.
    pub sub: String,
    /// Its ONVIF device service, where it has one.
    #[serde(default)]
    pub onvif: Option<String>,
    /// Where it answers discovery, where it does.
    #[serde(default)]
    pub discovery: Option<std::net::SocketAddr>,
}

/// The receipt printer emupos, running. It ends when it is dropped.
pub struct ReceiptPrinter {
    process: Process,
    /// Where it is dialled.
    pub address: String,
    control: String,
}

/// A slip that emupos has printed.
#[derive(Debug, Clone, Deserialize)]
pub struct PrintedSlip {
    /// What stands on it, a line a line; a code is `[qr …]`.
    pub text: String,
    /// How it ended: `cut`, or something else.
    pub boundary: String,
    /// What OpenCV reads off the picture.
    pub qr: Vec<String>,
    /// The picture.
    pub png: PathBuf,
    /// Commands it did not know, as hexadecimal bytes.
    pub unknown: Vec<String>,
}

impl ReceiptPrinter {
    /// Starts it; pictures of slips go to `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let python = python("emupos")?;
        let script = workspace().join("tests/system/peers/receipt_printer.py");
        let log = folder.join("emupos.log");
        let arguments = [text(&script)?, "--folder", text(folder)?];
        let mut process = Process::start("emupos", &python, &arguments, &[], &log)?;
        let at = until("emupos", PATIENCE, async || {
            process.check()?;
            Ok(rows(&process.log()).find(|row| row["printer"].is_string()))
        })
        .await?;
        let address = |name: &str| at[name].as_str().map(str::to_owned).context("no address");
        Ok(Self { address: address("printer")?, control: address("control")?, process })
    }

    /// Switches a fault (`paper-out`, `paper-near-end`, `cover-open`, `offline`) on or off.
    pub async fn fault(&self, fault: &str, on: bool) -> Result<()> {
        let mut stream = tokio::net::TcpStream::connect(&self.control).await?;
        stream.write_all(format!("{fault} {}\n", if on { "on" } else { "off" }).as_bytes()).await?;
        let mut answer = [0; 3];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await??;
        ensure!(&answer == b"ok\n", "emupos does not know {fault}");
        Ok(())
    }

    /// All slips printed so far.
    pub fn slips(&self) -> Result<Vec<PrintedSlip>> {
        rows(&self.process.log())
            .filter(|row| row["slip"].is_number())
            .map(|row| Ok(serde_json::from_value(row)?))
            .collect()
    }
}

/// The Python that has the given package.
pub fn python(package: &str) -> Result<PathBuf> {
    let python = workspace().join("target/python/bin/python");
    let packages = std::fs::read_dir(workspace().join("target/python/lib")).ok().and_then(|mut versions| {
        versions.find_map(|v| Some(v.ok()?.path().join("site-packages").join(package)))
    });
    let installed = python.is_file() && packages.is_some_and(|folder| folder.is_dir());
    ensure!(installed, "{package} is not installed: run scripts/setup test");
    Ok(python)
}

/// The lines of JSON that a peer has printed.
pub fn rows(log: &str) -> impl Iterator<Item = serde_json::Value> {
    log.lines().filter(|line| line.starts_with('{')).filter_map(|line| serde_json::from_str(line).ok())
}

impl Peer {
    /// GStreamer's RTSP server playing a file.
    pub async fn gstreamer(main: &Path, sub: &Path, log: &Path) -> Result<Self> {
        let script = workspace().join("tests/system/peers/rtsp_server.py");
        let arguments = [text(&script)?, "--clip", text(main)?, "--sub-clip", text(sub)?];
        Self::start("GStreamer's RTSP server", Path::new("/usr/bin/python3"), &arguments, log).await
    }

    /// The same with a tone beside the picture: `aac` or `alaw`.
    pub async fn gstreamer_with_sound(clip: &Path, sound: &str, log: &Path) -> Result<Self> {
        let script = workspace().join("tests/system/peers/rtsp_server.py");
        let arguments = [text(&script)?, "--clip", text(clip)?, "--sound", sound];
        Self::start("GStreamer's RTSP server", Path::new("/usr/bin/python3"), &arguments, log).await
    }

    /// The virtual camera ipycam.
    pub async fn ipycam(log: &Path) -> Result<Self> {
        Self::ipycam_with(&[], log).await
    }

    /// The virtual camera ipycam, with these arguments of its script.
    pub async fn ipycam_with(more: &[&str], log: &Path) -> Result<Self> {
        let python = python("ipycam")?;
        let script = workspace().join("tests/system/peers/virtual_camera.py");
        let arguments: Vec<&str> = std::iter::once(text(&script)?).chain(more.iter().copied()).collect();
        Self::start("ipycam", &python, &arguments, log).await
    }

    async fn start(name: &str, program: &Path, arguments: &[&str], log: &Path) -> Result<Self> {
        let mut process = Process::start(name, program, arguments, &[], log)?;
        let urls = until(name, PATIENCE, async || {
            process.check()?;
            let said = process.log();
            let line = said.lines().find(|line| line.starts_with('{'));
            Ok(line.map(serde_json::from_str::<Urls>).transpose()?)
        })
        .await?;
        Ok(Self { process, urls })
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
