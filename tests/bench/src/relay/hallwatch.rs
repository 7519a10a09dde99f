//! Hallwatch as the relay: an edge agent that pulls the cameras, a control centre, and wall sockets, all joined by TLS as
//! in a real installation. The hall has no windows and no devices, only cameras.

use std::{io::Read, path::Path};

use anyhow::{Context, Result};
use region::{
    RegionPlan,
    api::Api,
    edge_config::{HallPorts, edge_config},
    plan::{import_file, people},
    process::{Process, binary, until},
    start::{Centre, Hall, write_edge_config},
    wall::Wall,
};
use serde_json::json;

use super::{
    Shape,
    course::{Relay, Stuck},
    viewer::{Entry, Viewers, enter_wall},
};
use crate::cameras::Cameras;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A running edge agent and control centre.
pub(super) struct Hallwatch {
    centre: Centre,
    edge: Process,
    viewer: Api,
    ids: Vec<String>,
}

impl Hallwatch {
    /// Starts both below `folder` with the first cameras of `cameras`; whether the agent looks at their pictures.
    pub(super) async fn start(
        cameras: &Cameras,
        shape: Shape,
        inspection: bool,
        folder: &Path,
    ) -> Result<Self> {
        let plan = RegionPlan::of(1, 0, shape.cameras, folder.join("footage"));
        let hall = plan.halls.first().context("a plan without a hall")?;
        let passwords = passwords(people(&plan).len())?;
        let centre =
            Centre::start(folder, &import_file(&plan, &passwords), "127.0.0.1:0", "127.0.0.1:0").await?;
        let (name, password) = sign_in_of(&plan, &passwords, "administrator")?;
        let admin = centre.api()?.sign_in(name, password).await?;

        let data = folder.join("edge");
        std::fs::create_dir_all(&data)?;
        let ports =
            HallPorts { buses: Vec::new(), ticket_line: String::new(), attendance: 0, rtsp: 0, spares: None };
        let mut config = edge_config(hall, &ports, &centre.addresses.nodes, &data);
        let planned = hall.cameras();
        let rows = planned
            .iter()
            .enumerate()
            .map(|(index, camera)| json!({"id": camera.id, "name": camera.name, "url": cameras.url(index)}));
        config["camera"] = rows.collect();
        config["ticket_machine"] = json!([]);
        config["attendance"] = json!([]);
        // Only what is watched is pulled: the cameras of this run have no second stream.
        config["video"] = json!({"keep_sub": false});
        config["inspection"] = json!({"enabled": inspection});
        let file = folder.join("edge-agent.toml");
        write_edge_config(&file, &config)?;
        Hall::pair(&file, &hall.id, &centre, &admin).await?;
        let arguments = ["run", "--config", file.to_str().context("a path that is not UTF-8")?];
        let log = folder.join("edge-agent.log");
        let mut edge = Process::start("edge-agent", &binary("edge-agent")?, &arguments, &[], &log)?;
        let (name, password) = sign_in_of(&plan, &passwords, "supervisor")?;
        let viewer = centre.api()?.sign_in(name, password).await?;
        until("list of cameras at the centre", PATIENCE, async || {
            edge.check()?;
            let listed = viewer.get("/api/v1/cameras").await?;
            let count = listed["items"].as_array().map_or(0, Vec::len);
            Ok((count >= shape.cameras).then_some(()))
        })
        .await?;
        Ok(Self { centre, edge, viewer, ids: planned.into_iter().map(|camera| camera.id).collect() })
    }

    async fn wall(&self) -> Result<Wall> {
        let mut wall = Wall::open(&self.viewer).await?;
        let ids: Vec<&str> = self.ids.iter().map(String::as_str).collect();
        wall.watch(&ids, "main").await?;
        Ok(wall)
    }
}

/// Passwords for this run only.
fn passwords(count: usize) -> Result<Vec<String>> {
    let mut random = vec![0; count * 12];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let word = |bytes: &[u8]| bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    Ok(random.chunks(12).map(word).collect())
}

fn sign_in_of<'a>(plan: &RegionPlan, passwords: &'a [String], role: &str) -> Result<(&'static str, &'a str)> {
    let people = people(plan);
    let (person, password) =
        people.iter().zip(passwords).find(|(person, _)| person.0 == role).context("no such person")?;
    Ok((person.1, password))
}

impl Relay for Hallwatch {
    const NAME: &'static str = "Hallwatch";

    fn parts(&self) -> Vec<(String, Vec<u32>)> {
        [("edge-agent", &self.edge), ("control-center", &self.centre.process)]
            .map(|(name, process)| (name.to_owned(), process.id().into_iter().collect()))
            .into()
    }

    async fn enter_cold(&mut self, camera: usize) -> Result<Option<Entry>> {
        enter_wall(&self.viewer, self.ids.get(camera).context("no such camera")?).await.map(Some)
    }

    async fn attach(&mut self, shape: Shape) -> Result<Viewers> {
        let mut viewers = Viewers::new(shape.viewers);
        for viewer in 0..shape.viewers {
            viewers.read_wall(viewer, self.wall().await?);
        }
        Ok(viewers)
    }

    async fn enter_live(&mut self, camera: usize) -> Result<Option<Entry>> {
        enter_wall(&self.viewer, self.ids.get(camera).context("no such camera")?).await.map(Some)
    }

    async fn stick(&mut self, _viewers: &Viewers, shape: Shape) -> Result<Stuck> {
        let mut extra = Viewers::new(1);
        extra.read_wall(0, self.wall().await?);
        extra.started(shape.cameras, PATIENCE).await?;
        extra.hold(true);
        let what = "one more wall with every camera does not read".to_owned();
        Ok(Stuck { what, own: None, extra: Some(extra) })
    }
}
