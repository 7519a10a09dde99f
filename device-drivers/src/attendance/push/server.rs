//! HTTP for terminals that call in, and the driver that makes readings of what they send.
//!
//! An upload is acknowledged only when every punch of it that is new is on disk; otherwise it is answered 503 and the terminal
//! sends it again. An upload goes on when its caller hangs up: what was told once is not told again. Plain HTTP, which is all
//! that terminals speak: listen on the hall's network only.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Method, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::desk::{Answer, Caller, Desk, MAX_BODY, Outcome, PushConfig, Request, Upload};
use crate::{
    clock::{LocalClock, Mono, MonotonicClock},
    outlet::Outlet,
    port::Network,
    reading::{Counters, DriverEvent, Fact, Health, Reading, Receipt},
};

/// Connections at a time; a hall has a handful of terminals with one each.
const CONNECTIONS: usize = 64;
/// Turned-away addresses that are named in the log, once each.
const STRANGERS: usize = 64;
/// How long a terminal may take to say what it wants, and to send it.
const HEADERS: Duration = Duration::from_secs(15);
const BODY: Duration = Duration::from_secs(30);
/// How long an upload may take to get on disk; terminals give up after half a minute or so.
const DURABLE: Duration = Duration::from_secs(25);
/// How long what is under way may go on when the server ends.
const LEAVE: Duration = Duration::from_secs(2);
/// Waits that are missed until a terminal counts as silent, and how long it has at least.
const MISSED: u32 = 3;
const SILENT_AT_LEAST: Duration = Duration::from_secs(60);

/// Where the owner keeps each terminal's place in its log. Lost stamps do no harm: the terminal sends everything again.
pub trait Stamps: Send + Sync {
    /// The stamp kept last for this serial number.
    fn stamp(&self, serial: &str) -> Option<String>;
    /// Keeps a stamp, after what it stands for is on disk. Must not block.
    fn keep(&self, serial: &str, stamp: &str);
}

/// Stamps for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryStamps(Mutex<BTreeMap<String, String>>);

impl Stamps for MemoryStamps {
    fn stamp(&self, serial: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(serial).cloned()
    }

    fn keep(&self, serial: &str, stamp: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(serial.to_owned(), stamp.to_owned());
    }
}

/// The server. Clones are the same server.
#[derive(Clone)]
pub struct PushServer(Arc<Inner>);

struct Inner {
    desk: Mutex<Desk>,
    allow: Vec<Network>,
    /// One upload of a terminal at a time, so that one sent again meets what the first has told.
    uploads: BTreeMap<String, tokio::sync::Mutex<()>>,
    stamps: Arc<dyn Stamps>,
    local: Arc<dyn LocalClock>,
    counters: Arc<Counters>,
    durable: Duration,
    silent_after: Duration,
}

/// What a running server's tasks share.
#[derive(Clone)]
struct Running {
    server: PushServer,
    clock: Arc<dyn MonotonicClock>,
    out: Arc<Outlet>,
    tasks: TaskTracker,
}

impl PushServer {
    /// A server for these terminals. `local` is the hall's clock.
    pub fn new(config: PushConfig, stamps: Arc<dyn Stamps>, local: Arc<dyn LocalClock>) -> Self {
        let uploads =
            config.terminals.iter().map(|t| (t.serial.clone(), tokio::sync::Mutex::new(()))).collect();
        let delay = Duration::from_secs(u64::from(config.delay_s));
        Self(Arc::new(Inner {
            uploads,
            allow: config.allow.clone(),
            stamps,
            local,
            counters: Arc::default(),
            durable: DURABLE,
            silent_after: (delay * MISSED).max(SILENT_AT_LEAST),
            desk: Mutex::new(Desk::new(config)),
        }))
    }

    /// Other limits than the usual: how long an upload may take to get on disk, and after what silence a terminal counts as silent.
    /// Before the server is cloned or run; later it does nothing.
    pub fn limits(mut self, durable: Duration, silent_after: Duration) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.durable = durable;
            inner.silent_after = silent_after;
        }
        self
    }

    /// Its counts: good are punches, duplicates those sent again, bad are refused requests, unmatched lines that cannot be read.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.counters)
    }

    /// Every terminal that has called, also those not on the list.
    pub fn callers(&self) -> Vec<Caller> {
        self.desk().callers()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves until cancelled, or until nobody listens to `events` any more.
    pub async fn run(
        self,
        listener: TcpListener,
        clock: Arc<dyn MonotonicClock>,
        events: mpsc::Sender<DriverEvent>,
        cancel: CancellationToken,
    ) {
        let cancel = cancel.child_token();
        let out = Arc::new(Outlet { events, cancel: cancel.clone() });
        let running = Running { server: self, clock, out, tasks: TaskTracker::new() };
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let watching = running.clone();
        running.tasks.spawn(async move { watching.watch_silence().await });
        let mut strangers = BTreeSet::new();
        loop {
            let accepted = tokio::select! {
                () = cancel.cancelled() => break,
                () = running.out.events.closed() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((_, from)) if !running.server.0.lets_in(from.ip()) => {
                    if strangers.len() < STRANGERS && strangers.insert(from.ip()) {
                        tracing::warn!(from = %from.ip(), "turned away: terminals may not call from this address");
                    }
                }
                Ok((stream, from)) => match Arc::clone(&room).try_acquire_owned() {
                    Ok(place) => {
                        let connection = running.clone();
                        running.tasks.spawn(async move {
                            connection.connection(stream, from.ip()).await;
                            drop(place);
                        });
                    }
                    Err(_full) => {
                        tracing::warn!(%from, "too many terminals call at once; this one was hung up")
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "a terminal's call could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        cancel.cancel();
        running.tasks.close();
        let _either_way = timeout(LEAVE, running.tasks.wait()).await;
    }
}

impl Inner {
    fn lets_in(&self, from: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(from))
    }
}

impl Running {
    async fn connection(&self, stream: TcpStream, from: IpAddr) {
        let serve =
            service_fn(|request| async move { Ok::<_, Infallible>(self.request(request, from).await) });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            // Who has sent all may close its half, or hang up: what was sent is taken.
            .half_close(true)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(stream), serve);
        tokio::select! {
            () = self.out.cancel.cancelled() => {}
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%from, %error, "a terminal's connection ended");
            }
        }
    }

    /// hyper adds the `Date`, by which terminals set their clocks.
    async fn request(&self, request: hyper::Request<Incoming>, from: IpAddr) -> Response<Full<Bytes>> {
        let answer = self.answer(request, from).await;
        if answer.status != 200 {
            self.server.0.counters.add_bad();
        }
        let mut response = Response::new(Full::new(Bytes::from(answer.text)));
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
        response
    }

    async fn answer(&self, request: hyper::Request<Incoming>, from: IpAddr) -> Answer {
        let refuse = |status: u16, text: &str| Answer { status, text: format!("{text}\n") };
        let (head, body) = request.into_parts();
        let post = match head.method {
            Method::GET => false,
            Method::POST => true,
            _ => return refuse(405, "GET or POST"),
        };
        let body = match timeout(BODY, Limited::new(body, MAX_BODY).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return refuse(413, "at most 1 MiB at a time");
            }
            Ok(Err(_)) => return refuse(400, "broken off"),
            Err(_elapsed) => return refuse(408, "too slow"),
        };
        let request = Request {
            post,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            body: &body,
            from,
        };
        let now = self.clock.now();
        let (outcome, returned) = {
            let mut desk = self.server.desk();
            let before = self.health_of_all(&desk, now);
            let outcome = desk.take(&request, now, self.server.0.local.local_now());
            let after = self.health_of_all(&desk, now);
            let back = |(before, after): (Option<bool>, Option<bool>)| before != after && after == Some(true);
            let returned: Vec<_> = desk
                .terminals()
                .iter()
                .zip(before.into_iter().zip(after))
                .filter(|(_, change)| back(*change))
                .map(|(terminal, _)| terminal.position.clone())
                .collect();
            (outcome, returned)
        };
        for position in returned {
            self.server.0.counters.add_connect();
            tracing::info!(%position, "attendance terminal calls");
            self.out.health(&position, Health::Up, now).await;
        }
        match outcome {
            Outcome::Answer(answer) => answer,
            Outcome::Start { serial, version } => {
                let stamp = self.server.0.stamps.stamp(&serial);
                self.server.desk().start(&serial, version, stamp.as_deref())
            }
            Outcome::Store(upload) => {
                let running = self.clone();
                // A task of its own: the terminal may hang up, what it sent is taken all the same.
                let storing = self.tasks.spawn(async move { running.store(upload, now).await });
                storing.await.unwrap_or_else(|_ended| Answer::later())
            }
        }
    }

    /// Of each terminal whether it is heard; `None`: not yet.
    fn health_of_all(&self, desk: &Desk, now: Mono) -> Vec<Option<bool>> {
        let within = self.server.0.silent_after;
        desk.terminals()
            .iter()
            .map(|t| desk.heard(&t.serial).map(|heard| now.since(heard) < within))
            .collect()
    }

    async fn store(&self, upload: Upload, arrived: Mono) -> Answer {
        let counters = &self.server.0.counters;
        let Some(turn) = self.server.0.uploads.get(&upload.serial) else { return Answer::later() };
        let _turn = turn.lock().await;
        let fresh = self.server.desk().fresh(&upload);
        for _ in fresh.len()..upload.punches.len() {
            counters.add_duplicate();
        }
        for _ in upload.punches.len()..upload.count {
            counters.add_unmatched();
        }
        let mut receipts = Vec::with_capacity(fresh.len());
        for (punch, line) in fresh {
            let (receipt, waiting) = Receipt::pair();
            let reading = Reading {
                position: upload.position.clone(),
                arrived,
                fact: Fact::Punch {
                    employee: punch.employee,
                    at: punch.at,
                    verify: punch.verify,
                    state: punch.state,
                    live: false,
                },
                raw: line.into(),
                receipt,
            };
            counters.add_good();
            if !self.out.send(DriverEvent::Reading(reading)).await {
                return Answer::later();
            }
            receipts.push(waiting);
        }
        let all = async {
            for receipt in receipts {
                if receipt.await.is_err() {
                    return false;
                }
            }
            true
        };
        let durable = tokio::select! {
            durable = timeout(self.server.0.durable, all) => durable.unwrap_or(false),
            () = self.out.cancel.cancelled() => false,
        };
        if !durable {
            tracing::warn!(
                serial = upload.serial,
                lines = upload.count,
                "punches are not on disk yet; the terminal will send them again"
            );
            return Answer::later();
        }
        if let Some(stamp) = &upload.stamp {
            self.server.0.stamps.keep(&upload.serial, stamp);
        }
        counters.add_acknowledged();
        self.server.desk().stored(&upload)
    }

    /// Tells who has not called for too long.
    async fn watch_silence(&self) {
        let within = self.server.0.silent_after;
        let begun = self.clock.now();
        let mut told: BTreeMap<String, bool> = BTreeMap::new();
        loop {
            tokio::select! {
                () = self.out.cancel.cancelled() => return,
                () = tokio::time::sleep((within / 10).max(Duration::from_millis(20))) => {}
            }
            let now = self.clock.now();
            let (heard, told_all): (Vec<_>, Vec<_>) = {
                let mut desk = self.server.desk();
                let of =
                    |t: &super::PushTerminal| (t.serial.clone(), t.position.clone(), desk.heard(&t.serial));
                let heard = desk.terminals().iter().map(of).collect();
                (heard, desk.told_all(now, within))
            };
            for (position, through) in told_all {
                if !self.out.send(DriverEvent::LogRead { position, through, clock_offset: None }).await {
                    return;
                }
            }
            for (serial, position, heard) in heard {
                let silent = now.since(heard.unwrap_or(begun)) >= within;
                if told.insert(serial, silent).unwrap_or(false) == silent || !silent {
                    continue;
                }
                let health = match heard {
                    Some(since) => Health::Silent { since },
                    None => Health::Down { why: "the terminal has not called since the start".to_owned() },
                };
                tracing::warn!(%position, "an attendance terminal that should call does not");
                if !self.out.health(&position, health, now).await {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
