//! The doorway of a listener: how many connections there may be, in all and of one address, and how long one may stay
//! with nothing going through it. It stands before TLS, so that connections that are opened and left cost a descriptor and
//! little else, and for two minutes at the most.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum_server::accept::Accept;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// Connections of people in all: a region's people with six each, and the tools of its technicians.
const PEOPLE: usize = 8192;
/// Connections of people of one address: a hall whose people come through one.
const PEOPLE_OF_ADDRESS: usize = 1024;
/// A connection through which nothing goes for so long is closed. An open wall is pinged every twenty seconds, and the
/// longest answer takes a minute to begin.
const QUIET: Duration = Duration::from_secs(120);

/// Lets connections in.
#[derive(Clone)]
pub(crate) struct Doorway {
    inside: Arc<Mutex<Inside>>,
    most: usize,
    most_of_address: usize,
    quiet: Duration,
}

#[derive(Default)]
struct Inside {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

impl Doorway {
    /// The doorway of the people's site.
    pub(super) fn of_people() -> Self {
        Self::new(PEOPLE, PEOPLE_OF_ADDRESS)
    }

    /// A doorway for so many connections, in all and of one address.
    pub(crate) fn new(most: usize, most_of_address: usize) -> Self {
        Self { inside: Arc::default(), most, most_of_address, quiet: QUIET }
    }

    /// A place for a connection from `address`, while there is one.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.all >= self.most {
            return None;
        }
        let of = inside.of.get(&address).copied().unwrap_or(0);
        if of >= self.most_of_address {
            return None;
        }
        inside.of.insert(address, of + 1);
        inside.all += 1;
        Some(Place { doorway: self.clone(), address })
    }
}

/// One connection's place; free again when it is dropped.
pub(crate) struct Place {
    doorway: Doorway,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.doorway.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all -= 1;
        if let Some(of) = inside.of.get_mut(&self.address) {
            *of -= 1;
            if *of == 0 {
                inside.of.remove(&self.address);
            }
        }
    }
}

impl<S> Accept<TcpStream, S> for Doorway {
    type Stream = Connection;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let entered = || {
            // Without it a picture's last bytes wait until the page has acknowledged what came before.
            stream.set_nodelay(true)?;
            let address = stream.peer_addr().map(|at: SocketAddr| at.ip().to_canonical())?;
            self.enter(address).ok_or_else(|| {
                tracing::warn!(%address, "too many connections on the people's site; this one is closed");
                io::Error::from(io::ErrorKind::ConnectionRefused)
            })
        };
        std::future::ready(match entered() {
            Ok(place) => Ok((Connection::of(stream, place, self.quiet), service)),
            Err(error) => Err(error),
        })
    }
}

/// A connection that ends when nothing goes through it.
pub(crate) struct Connection {
    stream: TcpStream,
    quiet: Duration,
    until: Pin<Box<Sleep>>,
    _place: Place,
}

impl Connection {
    fn of(stream: TcpStream, place: Place, quiet: Duration) -> Self {
        Self { stream, quiet, until: Box::pin(tokio::time::sleep(quiet)), _place: place }
    }

    /// Something went through.
    fn moved(&mut self) {
        let until = Instant::now() + self.quiet;
        self.until.as_mut().reset(until);
    }

    /// Nothing goes through just now: ready with the error once that has been so for too long.
    fn waits<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.until.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(done) => {
                self.moved();
                Poll::Ready(done)
            }
            Poll::Pending => self.waits(cx),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(done) => {
                self.moved();
                Poll::Ready(done)
            }
            Poll::Pending => self.waits(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(cx, slices) {
            Poll::Ready(done) => {
                self.moved();
                Poll::Ready(done)
            }
            Poll::Pending => self.waits(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncReadExt, net::TcpListener};

    #[test]
    fn one_address_takes_not_every_place() {
        let doorway = Doorway::new(20, 10);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut held: Vec<Place> = (0..10).filter_map(|_| doorway.enter(one)).collect();
        assert_eq!(held.len(), 10);
        assert!(doorway.enter(one).is_none());
        assert!(doorway.enter(other).is_some());
        held.pop();
        assert!(doorway.enter(one).is_some());
        drop(held);
        assert!(doorway.inside.lock().unwrap().of.is_empty());
    }

    #[tokio::test]
    async fn a_quiet_connection_is_closed_and_its_place_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let doorway = Doorway { quiet: Duration::from_millis(20), ..Doorway::of_people() };
        let (mut connection, ()) = doorway.accept(stream, ()).await.unwrap();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(connection);
        assert_eq!(doorway.inside.lock().unwrap().all, 0);
    }
}
