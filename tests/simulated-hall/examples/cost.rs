//! What simulated cameras cost: `cargo run --release -p simulated-hall --example cost -- [cameras] [seconds]`.
//!
//! Serves that many cameras (main streams, 1.5 Mb/s) in this process, first with nobody watching and then with one
//! viewer each, which reads and throws away, in a process of its own. Prints the CPU of the serving process alone, as
//! the kernel counts it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use simulated_hall::footage::{Cache, Recipe};
use simulated_hall::rtsp::{Authentication, CameraSpec, Credentials, Footage, Server, ServerSetup, Tier};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

/// Clock ticks a second in /proc (Linux's USER_HZ, the same on every machine).
const TICKS: f64 = 100.0;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().unwrap_or_else(|| "64".to_owned());
    let second = arguments.next().unwrap_or_else(|| "20".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if first == "watch" {
        let cameras = arguments.next().context("cameras")?.parse()?;
        return runtime.block_on(watch(&second, cameras));
    }
    runtime.block_on(serve(first.parse().context("cameras")?, second.parse().context("seconds")?))
}

async fn serve(cameras: usize, seconds: u64) -> anyhow::Result<()> {
    let cache = Cache::new(std::env::temp_dir().join("hallwatch-footage"));
    let begun = std::time::Instant::now();
    let clip = Arc::new(cache.clip(&Recipe::main(1, "COST"))?);
    println!(
        "footage of one stream: {:.2} s (encoded, or read from the cache)",
        begun.elapsed().as_secs_f64()
    );
    let open =
        Credentials { authentication: Authentication::None, user: String::new(), password: String::new() };
    let specs = (0..cameras).map(|index| CameraSpec {
        name: format!("C{index}"),
        credentials: open.clone(),
        streams: vec![(Tier::Main, Footage::new(Arc::clone(&clip)))],
    });
    let setup = ServerSetup { listen: ([127, 0, 0, 1], 0).into(), cameras: specs.collect(), stamp: false };
    let server = Server::start(setup, CancellationToken::new()).await?;
    let report = async |what: &str| {
        let before = cpu()?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let part = (cpu()? - before) / seconds as f64;
        let each = part / cameras as f64;
        println!(
            "{cameras} cameras, {what}: {:.2} % of a core, {:.4} % a camera",
            part * 100.0,
            each * 100.0
        );
        anyhow::Ok(())
    };
    report("nobody watches").await?;
    let mut viewers = tokio::process::Command::new(std::env::current_exe()?)
        .args(["watch", &server.address().to_string(), &cameras.to_string()])
        .kill_on_drop(true)
        .spawn()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    report("one viewer each").await?;
    let (mut pictures, mut watched) = (0, 0);
    for count in (0..cameras).filter_map(|index| server.count(&format!("C{index}"), Tier::Main)) {
        pictures += count.pictures;
        watched += count.viewers;
    }
    println!("{watched} viewers at the end, {pictures} pictures sent");
    viewers.kill().await?;
    Ok(())
}

async fn watch(address: &str, cameras: usize) -> anyhow::Result<()> {
    let mut tasks = Vec::new();
    for index in 0..cameras {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        tasks.push(tokio::spawn(async move {
            let url = format!("rtsp://x/C{index}/main");
            let setup = format!(
                "SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n\
                 PLAY {url} RTSP/1.0\r\nCSeq: 2\r\n\r\n"
            );
            stream.write_all(setup.as_bytes()).await?;
            let mut sink = vec![0; 64 << 10];
            while stream.read(&mut sink).await? > 0 {}
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// CPU seconds of this process so far: fields 14 and 15 of /proc/self/stat.
fn cpu() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(')').context("/proc/self/stat")?.1;
    let ticks: Vec<f64> =
        after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / TICKS)
}
