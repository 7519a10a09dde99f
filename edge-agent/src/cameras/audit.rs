//! Cameras from a technician's command line: found on stated networks, and audited as configured.
//!
//! Owns the commands `camera find` and `camera audit`, which print one JSON object a camera or stream. The running agent
//! is not needed and not disturbed: a camera is played once more, for some seconds. Changes nothing.

use std::{io::Write, net::Ipv4Addr, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::Subcommand;
use control_protocol::CameraId;
use device_drivers::{
    camera::{
        CameraSource, Transport,
        audit::{AuditPlan, AuditReport, Role, audit},
        onvif::{HostRange, Range, discover},
    },
    clock::SystemUtc,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    config::{self, Config},
    vault::Vault,
};

/// What a technician asks of cameras.
#[derive(Debug, Subcommand)]
pub enum CameraCommand {
    /// Search stated networks for cameras (ONVIF). Prints a line of JSON for each, and then what was searched.
    Find {
        /// An address of this machine: a multicast probe goes out of its interface. May be given again.
        #[arg(long = "interface")]
        interfaces: Vec<Ipv4Addr>,
        /// Addresses to ask one by one: 192.168.1.20, 192.168.1.20-90 or 192.168.1.0/24. May be given again.
        #[arg(long = "hosts")]
        hosts: Vec<HostRange>,
        /// A port on which those addresses are asked by HTTP too. May be given again.
        #[arg(long = "http-port", default_value = "80")]
        http_ports: Vec<u16>,
        /// How long to search.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=120))]
        seconds: u64,
    },
    /// Play configured cameras for some seconds and say what their streams really are, and what to change in them.
    Audit {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
        /// The cameras; none = all.
        cameras: Vec<CameraId>,
        /// How long to play each stream.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=120))]
        seconds: u64,
    },
}

/// The audit of one stream of a camera.
#[derive(Debug, Serialize)]
pub struct StreamAudit {
    /// The camera.
    pub camera: CameraId,
    /// Which stream.
    pub role: Role,
    /// Its address, without user or password.
    pub url: String,
    /// What it really is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<AuditReport>,
    /// Why it could not be played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Carries out a command, printing to `out`, until it is done or cancelled.
///
/// # Errors
/// The configuration or the range is wrong, or `out` cannot be written.
pub async fn carry_out(
    command: CameraCommand,
    out: &mut (impl Write + Send),
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    match command {
        CameraCommand::Find { interfaces, hosts, http_ports, seconds } => {
            let range = Range { interfaces, hosts, http_ports, ..Range::default() };
            let searching = discover(&range, &SystemUtc, Duration::from_secs(seconds));
            let result = tokio::select! {
                () = cancel.cancelled() => bail!("stopped"),
                result = searching => result.context("give --interface or --hosts")?,
            };
            for found in &result.found {
                writeln!(out, "{}", serde_json::to_string(found)?)?;
            }
            writeln!(out, "{}", serde_json::json!({ "searched": result.searched }))?;
            Ok(())
        }
        CameraCommand::Audit { config, cameras, seconds } => {
            let config = Config::load(&config)?;
            if let Some(unknown) = cameras.iter().find(|id| !config.cameras.iter().any(|c| c.id == **id)) {
                bail!("no camera {unknown} in the configuration");
            }
            let vault = Vault::at(&config.hall.data);
            for camera in config.cameras.iter().filter(|c| cameras.is_empty() || cameras.contains(&c.id)) {
                let password = match &camera.credential {
                    Some(name) => {
                        let secret =
                            vault.get(name).with_context(|| format!("the password of {}", camera.id))?;
                        secret.reveal().to_owned()
                    }
                    None => String::new(),
                };
                for audited in audit_camera(camera, &password, Duration::from_secs(seconds), cancel).await {
                    writeln!(out, "{}", serde_json::to_string(&audited)?)?;
                }
            }
            Ok(())
        }
    }
}

/// Audits the streams of a camera, one after the other: the camera's own limit of viewers is not met twice.
pub async fn audit_camera(
    camera: &config::Camera,
    password: &str,
    play: Duration,
    cancel: &CancellationToken,
) -> Vec<StreamAudit> {
    let streams: [(Role, Option<&Url>); 2] =
        [(Role::Main, Some(&camera.url)), (Role::Sub, camera.sub_url.as_ref())];
    let mut audits = Vec::new();
    for (role, url) in streams.into_iter().filter_map(|(role, url)| Some((role, url?))) {
        let source = CameraSource {
            url: url.clone(),
            user: camera.user.clone().unwrap_or_default(),
            password: password.to_owned(),
            transport: Transport::Tcp,
            sound: false,
        };
        let plan = AuditPlan { play, ..AuditPlan::of(role) };
        let (report, failed, refused) = match audit(&source, &SystemUtc, plan, cancel).await {
            Ok(report) => (Some(report), None, false),
            Err(end) => (
                None,
                Some(super::source::why(&end)),
                end.failure() == device_drivers::camera::Failure::Refused,
            ),
        };
        audits.push(StreamAudit {
            camera: camera.id.clone(),
            role,
            url: source.bare_url().to_string(),
            report,
            failed,
        });
        if refused {
            // A second try with the same password brings the user nearer to being locked out.
            break;
        }
    }
    audits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_range_that_is_none_says_what_to_give() {
        let command =
            CameraCommand::Find { interfaces: vec![], hosts: vec![], http_ports: vec![80], seconds: 1 };
        let mut out = Vec::new();
        let error = carry_out(command, &mut out, &CancellationToken::new()).await.unwrap_err();
        assert!(format!("{error:#}").contains("--hosts"), "{error:#}");
    }

    #[tokio::test]
    async fn a_camera_that_is_not_there_fails_for_each_stream_and_shows_no_password() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let camera = config::Camera {
            id: "450103-01-W07-C1".parse().unwrap(),
            window: None,
            name: "W07".into(),
            url: format!("rtsp://{address}/main").parse().unwrap(),
            sub_url: Some(format!("rtsp://{address}/sub").parse().unwrap()),
            user: Some("viewer".into()),
            credential: None,
        };
        let audits =
            audit_camera(&camera, "s3cret&", Duration::from_secs(2), &CancellationToken::new()).await;
        assert_eq!(audits.len(), 2);
        let said = serde_json::to_string(&audits).unwrap();
        assert!(said.contains("cannot be reached") && !said.contains("s3cret"), "{said}");
        assert!(said.contains(r#""role":"sub""#), "{said}");
    }
}
