//! A TCP proxy between agent and centre that fails as asked: late, slow, gone, silent, reset, or with a bit turned over.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the link does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Link {
    /// It carries everything.
    Sound,
    /// Connections are closed, new ones refused.
    Gone,
    /// Connections are reset, new ones too.
    Reset,
    /// Connections stay open and nothing arrives; those that saw this stay dead when it is over, as behind a router
    /// that has forgotten them.
    HalfOpen,
    /// Everything arrives so much later.
    Late(Duration),
    /// At most so many bytes a second pass, each way.
    Slow(u32),
    /// One bit in each direction is turned over, then all is well.
    Flipped,
}

/// The proxy.
pub(crate) struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    flips: Arc<AtomicU64>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Clone)]
struct Way {
    link: watch::Receiver<Link>,
    flips: Arc<AtomicU64>,
    cancel: CancellationToken,
}

impl Proxy {
    /// Listens on loopback and passes on to `target`.
    pub(crate) async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (link, seen) = watch::channel(Link::Sound);
        let (cancel, tasks, flips) = (CancellationToken::new(), TaskTracker::new(), Arc::default());
        let way = Way { link: seen, flips: Arc::clone(&flips), cancel: cancel.clone() };
        let tracker = tasks.clone();
        tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = way.cancel.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                if let Ok((near, _)) = accepted {
                    tracker.spawn(carry(near, target, way.clone()));
                }
            }
        });
        Ok(Self { address, link, flips, cancel, tasks })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the link be so from now on.
    pub(crate) fn set(&self, link: Link) {
        if link == Link::Flipped {
            self.flips.store(2, Ordering::Relaxed);
        }
        self.link.send_replace(link);
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Closed with a reset and not with a farewell.
fn reset(stream: &TcpStream) {
    // A socket that cannot be told so is closed in the usual way.
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut way: Way) {
    let state = *way.link.borrow_and_update();
    match state {
        Link::Gone => return,
        Link::Reset => return reset(&near),
        Link::HalfOpen => return dead(&mut near, &way).await,
        _ => {}
    }
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    // Small pieces must not wait for each other here: what is late is late by order alone.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let cancel = way.cancel.clone();
    let now = {
        let (near_in, near_out) = near.split();
        let (far_in, far_out) = far.split();
        let (up, down) = (pump(near_in, far_out, way.clone()), pump(far_in, near_out, way.clone()));
        tokio::select! {
            () = cancel.cancelled() => return,
            // Half a connection is none for this protocol.
            _ = up => return,
            _ = down => return,
            now = broken(&mut way.link) => now,
        }
    };
    match now {
        Link::Reset => {
            reset(&near);
            reset(&far);
        }
        Link::HalfOpen => {
            tokio::join!(dead(&mut near, &way), dead(&mut far, &way));
        }
        _ => {}
    }
}

/// Waits until the link does something that ends connections.
async fn broken(link: &mut watch::Receiver<Link>) -> Link {
    loop {
        if link.changed().await.is_err() {
            return Link::Gone;
        }
        let now = *link.borrow_and_update();
        if matches!(now, Link::Gone | Link::Reset | Link::HalfOpen) {
            return now;
        }
    }
}

/// Takes bytes and gives none until the other end goes away.
async fn dead(stream: &mut TcpStream, way: &Way) {
    let mut buffer = [0u8; 4096];
    loop {
        tokio::select! {
            () = way.cancel.cancelled() => return,
            read = stream.read(&mut buffer) => if !matches!(read, Ok(n) if n > 0) { return },
        }
    }
}

async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, way: Way) -> std::io::Result<()> {
    let mut buffer = vec![0u8; 16 * 1024];
    loop {
        let most = match *way.link.borrow() {
            Link::Slow(rate) => (rate as usize / 10).clamp(1, buffer.len()),
            _ => buffer.len(),
        };
        let read = from.read(&mut buffer[..most]).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let state = *way.link.borrow();
        match state {
            Link::Late(by) => tokio::time::sleep(by).await,
            Link::Slow(rate) => {
                tokio::time::sleep(Duration::from_secs_f64(read as f64 / f64::from(rate.max(1)))).await;
            }
            Link::Flipped => {
                let mine = way.flips.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
                if mine.is_ok() {
                    buffer[read / 2] ^= 0x10;
                }
            }
            _ => {}
        }
        to.write_all(&buffer[..read]).await?;
    }
}
