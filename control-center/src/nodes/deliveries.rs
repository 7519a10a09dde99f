//! Footage fetched from a hall: a question on its command channel, and the WebSocket that the edge dials to answer it. The
//! bytes are taken as fast as whoever asked takes them; at most one message waits here. Never looks into a clip.

use std::{
    collections::HashMap,
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use control_protocol::{
    DeliveryId, HallId,
    channel::ToEdge,
    footage::{ANSWER_MS, AT_ONCE, FootageAnswer, FootageAsk, MAX_ANSWER, MESSAGE, SendBytes},
    websocket::Message,
};
use futures_util::stream::{self, Stream};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Nodes;
use crate::site::upgrade::Socket;

/// The largest message of a delivery.
pub(super) const LARGEST: usize = if MAX_ANSWER > MESSAGE { MAX_ANSWER } else { MESSAGE };
/// How long the hall may send nothing while somebody waits for bytes.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it may take to ask for bytes.
const WRITE: Duration = Duration::from_secs(10);

/// Why nothing came from the hall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDelivered {
    /// No channel.
    #[error("the hall's edge agent is not connected to the centre")]
    Offline,
    /// Too many at once.
    #[error("too much footage of this hall is being fetched: close some of it, or try again in a while")]
    Busy,
    /// No answer in time.
    #[error("the hall did not answer in time: try again")]
    Slow,
    /// What came is no answer.
    #[error("the hall's answer cannot be read: bring its edge agent to this centre's version")]
    Unreadable,
}

struct Awaited {
    hall: HallId,
    to: oneshot::Sender<Socket>,
}

#[derive(Default)]
struct State {
    awaited: HashMap<DeliveryId, Awaited>,
    under_way: HashMap<HallId, usize>,
}

/// The deliveries that are awaited or under way.
#[derive(Default, Clone)]
pub(super) struct Deliveries(Arc<Mutex<State>>);

/// Counts one delivery of a hall while it lives.
struct Place {
    book: Deliveries,
    hall: HallId,
    id: DeliveryId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.book.lock();
        state.awaited.remove(&self.id);
        if let Some(count) = state.under_way.get_mut(&self.hall) {
            *count -= 1;
            if *count == 0 {
                state.under_way.remove(&self.hall);
            }
        }
    }
}

impl Deliveries {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, hall: &HallId) -> Result<(Place, oneshot::Receiver<Socket>), NotDelivered> {
        let mut random = [0; 12];
        SystemRandom::new().fill(&mut random).map_err(|_| NotDelivered::Busy)?;
        let id = format!("F{}", data_encoding::HEXLOWER.encode(&random));
        let id: DeliveryId = id.parse().map_err(|_| NotDelivered::Busy)?;
        let mut state = self.lock();
        let count = state.under_way.entry(hall.clone()).or_default();
        if *count >= AT_ONCE {
            return Err(NotDelivered::Busy);
        }
        *count += 1;
        let (to, socket) = oneshot::channel();
        state.awaited.insert(id.clone(), Awaited { hall: hall.clone(), to });
        Ok((Place { book: self.clone(), hall: hall.clone(), id }, socket))
    }

    /// Who waits for this delivery of this hall; asked once.
    pub(super) fn take(&self, id: &DeliveryId, hall: &HallId) -> Option<oneshot::Sender<Socket>> {
        let mut state = self.lock();
        if state.awaited.get(id)?.hall != *hall {
            return None;
        }
        state.awaited.remove(id).map(|awaited| awaited.to)
    }

    /// How many are under way.
    pub(super) fn count(&self) -> usize {
        self.lock().under_way.values().sum()
    }
}

/// A hall's answer, and the connection on which its bytes can be had.
pub struct Delivery {
    /// What the hall has.
    pub answer: FootageAnswer,
    socket: Socket,
    /// Cancelled when the hall's channel is gone or the centre stops.
    closed: CancellationToken,
    _place: Place,
}

impl Nodes {
    /// Asks a hall for footage. The caller has checked that the person may, and dropping what it gives ends the delivery.
    ///
    /// # Errors
    /// Nothing came.
    pub async fn footage(&self, hall: &HallId, ask: FootageAsk) -> Result<Delivery, NotDelivered> {
        let link = self.registry().of_hall(hall).ok_or(NotDelivered::Offline)?;
        let (place, dialled) = self.deliveries().open(hall)?;
        if !link.send(ToEdge::Footage { delivery: place.id.clone(), ask }) {
            return Err(NotDelivered::Offline);
        }
        let closed = link.closed.clone();
        let answered = async {
            let mut socket = dialled.await.map_err(|_| NotDelivered::Offline)?;
            loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) if text.len() <= MAX_ANSWER => {
                        let answer = serde_json::from_str(&text).map_err(|error| {
                            tracing::warn!(%hall, %error, "an answer about footage cannot be read");
                            NotDelivered::Unreadable
                        })?;
                        return Ok((answer, socket));
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close { .. }) | Err(_)) | None => return Err(NotDelivered::Slow),
                    Some(Ok(_)) => return Err(NotDelivered::Unreadable),
                }
            }
        };
        let (answer, socket) = tokio::select! {
            () = closed.cancelled() => return Err(NotDelivered::Offline),
            () = tokio::time::sleep(Duration::from_millis(ANSWER_MS)) => return Err(NotDelivered::Slow),
            answered = answered => answered?,
        };
        Ok(Delivery { answer, socket, closed, _place: place })
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

impl Delivery {
    /// The bytes of `range` of what was answered, message by message; an error ends them short. Nothing is read from the
    /// hall but for what is asked of the stream.
    pub fn bytes(self, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let left = range.end.saturating_sub(range.start);
        stream::try_unfold((self, Some(range), left), |(mut delivery, wanted, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            if let Some(range) = wanted {
                delivery.ask_for(&range).await?;
            }
            let closed = delivery.closed.clone();
            let bytes = tokio::select! {
                () = closed.cancelled() => return Err(broken("the hall is gone")),
                bytes = tokio::time::timeout(SILENCE, delivery.next()) => {
                    bytes.map_err(|_| broken("the hall sent nothing for 30 seconds"))??
                }
            };
            let left =
                left.checked_sub(bytes.len() as u64).ok_or_else(|| broken("the hall sent too much"))?;
            Ok(Some((bytes, (delivery, None, left))))
        })
    }

    async fn ask_for(&mut self, range: &Range<u64>) -> io::Result<()> {
        let text = serde_json::to_string(&SendBytes { from: range.start, to: range.end })?;
        tokio::time::timeout(WRITE, self.socket.send(Message::Text(text)))
            .await
            .map_err(|_| broken("the hall does not read"))?
    }

    async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) if !bytes.is_empty() => return Ok(bytes),
                Some(Ok(Message::Close { reason, .. })) => {
                    return Err(broken(&format!("the hall ended it early: {reason}")));
                }
                Some(Ok(Message::Text(_))) => {
                    return Err(broken("the hall sent a text in the middle of bytes"));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(broken("the connection with the hall ended")),
            }
        }
    }
}
