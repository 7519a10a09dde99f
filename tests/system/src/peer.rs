//! Independent cameras: programs that are none of this project's, started for one test and ended with it.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use region::process::{Process, until};
use serde::Deserialize;

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
}

impl Peer {
    /// GStreamer's RTSP server playing a file.
    pub async fn gstreamer(main: &Path, sub: &Path, log: &Path) -> Result<Self> {
        let script = workspace().join("tests/system/peers/rtsp_server.py");
        let arguments = [text(&script)?, "--clip", text(main)?, "--sub-clip", text(sub)?];
        Self::start("GStreamer's RTSP server", Path::new("/usr/bin/python3"), &arguments, log).await
    }

    /// The virtual camera ipycam.
    pub async fn ipycam(log: &Path) -> Result<Self> {
        let python = workspace().join("target/python/bin/python");
        let installed = workspace().join("target/python/bin/ipycam").is_file();
        ensure!(python.is_file() && installed, "ipycam is not installed: run scripts/setup test");
        let script = workspace().join("tests/system/peers/virtual_camera.py");
        Self::start("ipycam", &python, &[text(&script)?], log).await
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
