//! Asks for every page's data, as the page does, through the site's own router, while events come in at a steady rate; prints
//! for each the median, the 99th percentile and the worst.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use axum::{Router, body::Body};
use control_center::{Clock, recordings::kept::Limits, site, store::Store};
use control_protocol::UtcMillis;
use http::{Request, StatusCode, header};
use jiff::Zoned;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Order, day,
    load::{self, Loaded, PASSWORD, seal, take},
    world::World,
};
use crate::{footprint::Footprint, percentiles::Spread};

/// Events of one write, as an edge under load sends them.
const BATCH: usize = 50;

struct Page {
    name: &'static str,
    who: usize,
    path: String,
}

/// Signs in; gives the cookie.
async fn sign_in(router: &Router, name: &str) -> Result<String> {
    let body = serde_json::json!({"name": name, "password": PASSWORD}).to_string();
    let request = Request::post("/api/v1/session")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))?;
    let response = router.clone().oneshot(request).await?;
    anyhow::ensure!(response.status() == StatusCode::OK, "signing in as {name}: {}", response.status());
    let cookie = response.headers().get(header::SET_COOKIE).context("no cookie")?.to_str()?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

async fn ask(router: &Router, cookie: &str, path: &str) -> Result<(StatusCode, usize)> {
    let request = Request::get(format!("/api/v1{path}")).header(header::COOKIE, cookie).body(Body::empty())?;
    let response = router.clone().oneshot(request).await?;
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
    Ok((status, body.len()))
}

pub(super) async fn measure(
    store: Store,
    folder: &Path,
    world: &World,
    order: &Order,
    loaded: Loaded,
) -> Result<()> {
    let stop = CancellationToken::new();
    let centre =
        site::serve::centre(folder, (Limits::default(), 1), store.clone(), Clock::system(), stop.clone())
            .await?;
    let router = site::assembly::router(centre);
    let cookies = [sign_in(&router, "region").await?, sign_in(&router, "county").await?];
    let coming = tokio::spawn(come_in(store.clone(), world, order, loaded, stop.clone())?);
    let pages = pages(&router, &cookies[0], world).await?;
    println!("\n{:44} {:>9} {:>9} {:>9} {:>9}", "page", "p50 ms", "p99 ms", "max ms", "bytes");
    let mut slow = 0;
    for page in &pages {
        let cookie = &cookies[page.who];
        let (status, bytes) = ask(&router, cookie, &page.path).await?;
        if status != StatusCode::OK {
            println!("{:44} {status}", page.name);
            slow += 1;
            continue;
        }
        let mut times = Vec::new();
        for _ in 0..order.rounds {
            let begun = Instant::now();
            ask(&router, cookie, &page.path).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            // People do not ask without a pause, and intake has its turn.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if let Some(spread) = Spread::of(times) {
            let mark = if spread.p99 > 100.0 { "  over 100 ms" } else { "" };
            slow += usize::from(spread.p99 > 100.0);
            println!(
                "{:44} {:9.1} {:9.1} {:9.1} {bytes:9}{mark}",
                page.name, spread.p50, spread.p99, spread.max
            );
        }
    }
    stop.cancel();
    let came = coming.await??;
    println!("\nintake    {came}");
    println!("pages     {} of {} at p99 under 100 ms", pages.len() - slow, pages.len());
    let memory = Footprint::of(&[std::process::id()]);
    println!("memory    {:.0} MiB resident", memory.resident as f64 / 1_048_576.0);
    store.close().await;
    Ok(())
}

/// Today's events of every hall, over and over, `order.intake` a second, until `stop`.
fn come_in(
    store: Store,
    world: &World,
    order: &Order,
    mut loaded: Loaded,
    stop: CancellationToken,
) -> Result<impl Future<Output = Result<String>> + use<>> {
    let zone = load::zone()?;
    let today = Zoned::now().with_time_zone(zone.clone()).date();
    let mut events = Vec::new();
    for (hall, end) in world.halls.iter().zip(&mut loaded.ends) {
        let (entries, _) = day::events(hall, today, &zone, order.seed);
        events.extend(seal(hall, end, entries)?);
    }
    // As they happened, whatever hall they are of; a hall's own stay in their order.
    events.sort_by_key(|event| event.event.at);
    let rate = order.intake.max(1);
    Ok(async move {
        let sent = Arc::new(AtomicU64::new(0));
        let begun = Instant::now();
        let mut worst = Duration::ZERO;
        for (n, batch) in events.chunks(BATCH).enumerate() {
            let due = Duration::from_secs_f64((n * BATCH) as f64 / f64::from(rate));
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(due.saturating_sub(begun.elapsed())) => {}
            }
            let (batch, at) = (batch.to_vec(), Instant::now());
            let count = batch.len() as u64;
            store.write("intake", move |tx| take(tx, &batch)).await?;
            worst = worst.max(at.elapsed());
            sent.fetch_add(count, Ordering::Relaxed);
        }
        let (sent, seconds) = (sent.load(Ordering::Relaxed), begun.elapsed().as_secs_f64());
        let ended =
            if stop.is_cancelled() { "" } else { "; today's events were used up before the last page" };
        Ok(format!(
            "{sent} events in {seconds:.0} s = {:.0} a second; the slowest write of {BATCH} took {:.0} ms{ended}",
            sent as f64 / seconds,
            worst.as_secs_f64() * 1e3
        ))
    })
}

/// What the pages ask for.
async fn pages(router: &Router, cookie: &str, world: &World) -> Result<Vec<Page>> {
    let hall = world.halls.first().context("no hall")?;
    let (id, area) = (hall.id.as_str(), hall.area.as_str());
    let request = Request::get("/api/v1/cases?limit=1&state=closed")
        .header(header::COOKIE, cookie)
        .body(Body::empty())?;
    let response = router.clone().oneshot(request).await?;
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
    let list: serde_json::Value = serde_json::from_slice(&body)?;
    let case = list["items"][0]["case_id"].as_str().context("no closed case")?.to_owned();
    let now = UtcMillis(Zoned::now().timestamp().as_millisecond()).0;
    let (week, month) = (now - 7 * 86_400_000, now - 31 * 86_400_000);
    let of = |name, who, path: String| Page { name, who, path };
    Ok(vec![
        of("overview, region", 0, "/areas/450000/overview".into()),
        of("overview, county", 1, format!("/areas/{area}/overview")),
        of("tree: areas", 0, "/areas".into()),
        of("tree: halls", 0, "/halls".into()),
        of("tree: cameras", 0, "/cameras".into()),
        of("windows of a hall", 0, format!("/halls/{id}/windows")),
        of("queue of a hall, now", 0, format!("/halls/{id}/queue")),
        of("queue of a hall, by quarters", 0, format!("/halls/{id}/queue/quarters")),
        of("forecast of a hall", 0, format!("/halls/{id}/forecast")),
        of("tickets of a hall", 0, format!("/tickets?hall={id}&limit=50")),
        of("cases, region, newest", 0, "/cases?limit=50".into()),
        of("cases, county, newest", 1, "/cases?limit=50".into()),
        of("cases of a hall", 0, format!("/cases?limit=50&hall={id}")),
        of("cases of a window", 0, format!("/cases?limit=50&window={id}-W03")),
        of("cases by ticket", 0, "/cases?limit=50&ticket=A008".into()),
        of("cases by ticket, county", 1, "/cases?limit=50&ticket=A008".into()),
        of("cases by official number", 0, "/cases?limit=50&official_no=4501032026112200042".into()),
        of("cases of a clerk", 0, format!("/cases?limit=50&hall={id}&clerk=1003")),
        of("cases badly rated", 0, "/cases?limit=50&grade=bad".into()),
        of("cases badly rated, county", 1, "/cases?limit=50&grade=1".into()),
        of("cases served for an hour", 0, "/cases?limit=50&served_from=3600".into()),
        of("cases served for under a minute", 1, "/cases?limit=50&served_to=60".into()),
        of(
            "cases of a hall by time served, a month",
            0,
            format!("/cases?limit=50&hall={id}&sort=-served&from={month}&to={now}"),
        ),
        of("cases of a week, oldest first", 0, format!("/cases?limit=50&sort=opened&from={week}&to={now}")),
        of("one case", 0, format!("/cases/{case}")),
        of("ratings, bad", 0, format!("/ratings?limit=50&grade=bad&from={month}&to={now}")),
        of("ratings, bad, county", 1, "/ratings?limit=50&grade=bad".into()),
        of("ratings, not counted", 0, "/ratings?limit=50&outcome=unsolicited".into()),
        of("ratings, newest", 0, "/ratings?limit=50".into()),
        of("report of a day", 0, "/areas/450000/report?period=day&by=hall".into()),
        of("report of a week", 0, "/areas/450000/report?period=week&by=hall".into()),
        of("report of a month", 0, "/areas/450000/report?period=month&by=hall".into()),
        of("report of a quarter", 0, "/areas/450000/report?period=quarter".into()),
        of("report of a year", 0, "/areas/450000/report?period=year".into()),
        of("report of a year, county", 1, format!("/areas/{area}/report?period=year&by=hall")),
        of("comparison of a month", 0, "/areas/450000/comparison?period=month".into()),
        of("comparison of a year", 0, "/areas/450000/comparison?period=year".into()),
        of("punches of a hall", 0, format!("/punches?hall={id}&limit=50")),
        of("events, by kind", 0, format!("/events?hall={id}&kind=rating.&limit=50")),
        of("coverage", 0, "/coverage".into()),
    ])
}
