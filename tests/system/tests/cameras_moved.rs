//! A camera that is not ours is moved through the centre: the virtual camera ipycam, which heeds no timeout, so that only
//! being told to stop stops it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use region::{RegionPlan, api::Method, process::until};
use serde_json::{Value, json};
use system_tests::{
    peer::Peer,
    stage::{Stage, add_camera, camera_row, footage, reconfigure},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const CAMERA: &str = "450103-01-S31";
const LIMIT: Duration = Duration::from_secs(60);

/// One request of ipycam's own pages or services; gives the body.
async fn ask(port: u16, head: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.0\r\nHost: camera\r\nContent-Type: application/soap+xml\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await??;
    Ok(answer.split_once("\r\n\r\n").context("no answer")?.1.to_owned())
}

async fn place(port: u16) -> Result<Value> {
    Ok(serde_json::from_str(&ask(port, "GET /api/ptz", "").await?)?)
}

#[tokio::test]
async fn ipycam_turns_while_asked_stops_by_itself_and_goes_to_its_places() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let peer = Peer::ipycam(&folder.path().join("ipycam.log")).await?;
    let onvif: url::Url = peer.urls.onvif.as_deref().context("no ONVIF")?.parse()?;
    let port = onvif.port().context("no port")?;
    let envelope = |body: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Body>{body}</s:Body></s:Envelope>"
        )
    };
    let remember = "<SetPreset xmlns=\"http://www.onvif.org/ver20/ptz/wsdl\"><ProfileToken>p</ProfileToken><PresetName>door</PresetName></SetPreset>";
    ask(port, "POST /onvif/ptz_service", &envelope(remember)).await?;
    let mut plan = RegionPlan::of(1, 1, 0, footage());
    plan.day = false;
    let mut stage = Stage::start(plan).await?;
    let hall = stage.region.halls.first_mut().context("no hall")?;
    reconfigure(hall, |config| {
        config["onvif"] = json!({CAMERA: onvif.as_str()});
        add_camera(
            config,
            json!({"id": CAMERA, "name": "turns", "url": peer.urls.main, "sub_url": peer.urls.sub}),
        );
    })
    .await?;
    let api = stage.region.sign_in("supervisor").await?;
    camera_row(&api, CAMERA, LIMIT, |row| row["state"] == "live").await?;
    let path = format!("/api/v1/cameras/{CAMERA}/move");
    let hr = stage.region.sign_in("hr").await?;
    let refused = hr.status(Method::POST, &path, Some(json!({"pan": 50}))).await?;
    ensure!(refused == 403, "who may not watch moved a camera: {refused}");
    let before = place(port).await?;
    let moved = api.status(Method::POST, &path, Some(json!({"pan": 50, "tilt": 20}))).await?;
    ensure!(moved == 204, "the camera was not moved: {moved}");
    until("movement", LIMIT, async || Ok((place(port).await?["pan"] != before["pan"]).then_some(()))).await?;
    // Nobody asks again: it ends by itself.
    until("end of the movement", LIMIT, async || Ok((place(port).await?["moving"] == false).then_some(())))
        .await?;
    println!("from {before} to {}", place(port).await?);
    let moved = api.status(Method::POST, &path, Some(json!({"zoom": 100}))).await?;
    let stopped = api.status(Method::DELETE, &path, None).await?;
    ensure!((moved.as_u16(), stopped.as_u16()) == (204, 204), "{moved} {stopped}");
    ensure!(place(port).await?["moving"] == false, "it goes on though it was told to stop");
    let presets = api.get(&format!("/api/v1/cameras/{CAMERA}/presets")).await?;
    println!("presets: {presets}");
    let door =
        presets["items"].as_array().and_then(|places| places.iter().find(|place| place["name"] == "door"));
    let token = door.and_then(|door| door["token"].as_str()).context("it does not remember its place")?;
    let gone = api.status(Method::POST, &format!("/api/v1/cameras/{CAMERA}/presets/{token}"), None).await?;
    ensure!(gone == 204, "it does not go to its place: {gone}");
    until("place", LIMIT, async || Ok((place(port).await?["pan"] == before["pan"]).then_some(()))).await?;
    // A camera that speaks no ONVIF says so, and one that is not there is not found.
    for (camera, wanted) in [("450103-01-W01-C1", 502), ("450103-01-S99", 404)] {
        let path = format!("/api/v1/cameras/{camera}/move");
        let refused = api.status(Method::POST, &path, Some(json!({"pan": 5}))).await?;
        ensure!(refused == wanted, "{camera}: {refused}");
    }
    stage.end().await
}
