//! Live media: one WebSocket per lease, dialled by the edge, and on it what a viewer takes out of a camera's hub.
//!
//! First the description as text and the parameters, then frames from the newest key frame on. What is there at one
//! wake-up goes out in one flush. A link that is too slow leaves out whole groups of pictures and says so by the
//! discontinuity flag; one that takes nothing for ten seconds is given up.

use std::time::Duration;

use bytes::Bytes;
use control_protocol::{
    StreamId,
    channel::StreamState,
    frame::{HEADER, Tier},
    websocket::{Message, Socket},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::cameras::{
    View, Viewing,
    entry::{Parameters, end_message, parameters_message, stamped},
};

/// How long one flush may take.
const WRITE: Duration = Duration::from_secs(10);
/// How long the end of a stream may take to be said.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes gathered before a flush; a burst of a whole group of pictures goes out in parts, and what has become old
/// meanwhile can still be left out.
const GATHER: usize = 256 * 1024;

/// How a media connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaEnd {
    /// The lease was released or the agent closes; the far end was told.
    Released,
    /// The tier cannot be served; the far end was told that the stream ends.
    Failed {
        /// What its tile should show.
        state: StreamState,
        /// In plain words.
        why: String,
    },
    /// The link broke or is stuck, or the far end closed it.
    Broken(String),
}

/// Sends what `viewing` gives under the stream's number until it ends, the link breaks or `cancel` is cancelled.
pub async fn serve<S>(
    socket: &mut Socket<S>,
    viewing: &mut Viewing,
    stream: StreamId,
    cancel: &CancellationToken,
) -> MediaEnd
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let tier = viewing.tier();
    let end = tokio::select! {
        biased;
        () = cancel.cancelled() => MediaEnd::Released,
        end = send(socket, viewing, stream) => end,
    };
    if !matches!(end, MediaEnd::Broken(_)) {
        // The far end notices a stream that ends without a word as well, only later.
        let _told = timeout(FAREWELL, async {
            socket.queue(Message::Binary(end_message(tier, stream)));
            socket.close(1000, "the stream ends").await
        })
        .await;
    }
    end
}

async fn send<S>(socket: &mut Socket<S>, viewing: &mut Viewing, stream: StreamId) -> MediaEnd
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let view = tokio::select! {
            heard = socket.next() => match heard {
                Some(Ok(Message::Close { .. })) | None => {
                    return MediaEnd::Broken("the far end closed it".into());
                }
                Some(Err(error)) => return MediaEnd::Broken(error.to_string()),
                // Pings have been answered; nothing else is expected here.
                Some(Ok(_)) => continue,
            },
            view = viewing.next() => view,
        };
        let end = queue(socket, viewing, stream, view);
        match timeout(WRITE, socket.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return MediaEnd::Broken(error.to_string()),
            Err(_) => return MediaEnd::Broken(format!("the link took nothing for {} s", WRITE.as_secs())),
        }
        if let Some(end) = end {
            return end;
        }
    }
}

/// Queues `view` and what else is there now, up to [`GATHER`]; gives the end, if it came.
fn queue<S>(socket: &mut Socket<S>, viewing: &mut Viewing, stream: StreamId, view: View) -> Option<MediaEnd>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let tier = viewing.tier();
    let mut next = Some(view);
    while let Some(view) = next {
        match view {
            View::Parameters(parameters) => {
                for message in announcement(&parameters, tier, stream) {
                    socket.queue(message);
                }
            }
            // Only the header is this lease's own; the picture is shared with every other viewer.
            View::Frame { message, after_gap } => match stamped(&message, tier, stream, after_gap) {
                Some(header) => socket.queue_binary(&header, message.slice(HEADER..)),
                None => socket.queue(Message::Binary(message)),
            },
            View::Failed { state, why } => return Some(MediaEnd::Failed { state, why }),
            View::Ended => return Some(MediaEnd::Released),
        }
        next = if socket.queued() < GATHER { viewing.take() } else { None };
    }
    None
}

/// What precedes the first frame: the description and, but for JPEG, the configuration record.
fn announcement(parameters: &Parameters, tier: Tier, stream: StreamId) -> impl Iterator<Item = Message> {
    let text = serde_json::to_string(&parameters.description).unwrap_or_default();
    let record: &Bytes = &parameters.record;
    let record = (!record.is_empty()).then(|| Message::Binary(parameters_message(record, tier, stream)));
    [Some(Message::Text(text)), record].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::tests::{Stage1, stage};
    use control_protocol::frame::{HEADER, Header, Kind};
    use futures_util::StreamExt;
    use tokio::io::DuplexStream;
    use tokio_tungstenite::{
        WebSocketStream,
        tungstenite::{Message, protocol::Role},
    };

    /// The far end is another's implementation.
    async fn sockets(buffer: usize) -> (Socket<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (edge, centre) = tokio::io::duplex(buffer);
        (
            Socket::new(edge, control_protocol::websocket::Role::Client, 1 << 20),
            WebSocketStream::from_raw_socket(centre, Role::Server, None).await,
        )
    }

    fn serving(
        s: &Stage1,
        tier: Tier,
        mut socket: Socket<DuplexStream>,
        cancel: CancellationToken,
    ) -> tokio::task::JoinHandle<MediaEnd> {
        let mut viewing = s.cameras.open(&s.camera, tier).unwrap();
        tokio::spawn(async move { serve(&mut socket, &mut viewing, StreamId(7), &cancel).await })
    }

    async fn binary(socket: &mut WebSocketStream<DuplexStream>) -> (Header, Vec<u8>) {
        match socket.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => (Header::read(&bytes).unwrap(), bytes[HEADER..].to_vec()),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn description_parameters_frames_end() {
        let s = stage(true);
        s.sub.video("avc1.4d401f");
        s.sub.unit(true, 0);
        s.sub.unit(false, 40_000);
        let (edge, mut centre) = sockets(1 << 20).await;
        let cancel = CancellationToken::new();
        let serving = serving(&s, Tier::Sub, edge, cancel.clone());
        let Message::Text(text) = centre.next().await.unwrap().unwrap() else { panic!() };
        assert_eq!(text.as_str(), r#"{"codec":"avc1.4d401f","width":640,"height":360}"#);
        let (header, record) = binary(&mut centre).await;
        assert_eq!((header.kind, header.stream, header.tier), (Kind::Parameters, StreamId(7), Tier::Sub));
        assert_eq!(record, b"record");
        let (header, unit) = binary(&mut centre).await;
        assert!(header.key && header.kind == Kind::Frame && header.stream == StreamId(7));
        assert_eq!(unit, b"unit 0");
        assert_eq!(binary(&mut centre).await.1, b"unit 40000");
        cancel.cancel();
        assert_eq!(binary(&mut centre).await.0.kind, Kind::End);
        assert!(matches!(centre.next().await, Some(Ok(Message::Close(_)))));
        assert_eq!(serving.await.unwrap(), MediaEnd::Released);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_link_skips_whole_groups_and_says_so() {
        let s = stage(true);
        s.sub.video("avc1.4d401f");
        s.sub.unit(true, 0);
        // The link's buffer holds a few messages; the far end reads none while 40 groups of 25 pass.
        let (edge, mut centre) = sockets(400).await;
        let cancel = CancellationToken::new();
        let serving = serving(&s, Tier::Sub, edge, cancel.clone());
        for n in 1..=1000u64 {
            s.sub.unit(n % 25 == 0, n * 40_000);
            if n % 10 == 0 {
                tokio::task::yield_now().await;
            }
        }
        // Reading begins: the order holds, each jump is flagged and lands on a key frame.
        let mut last = None;
        let mut jumps = 0;
        while last != Some(1000) {
            let Message::Binary(bytes) = centre.next().await.unwrap().unwrap() else { continue };
            let header = Header::read(&bytes).unwrap();
            if header.kind != Kind::Frame {
                continue;
            }
            let number = header.pts_us / 40_000;
            if let Some(last) = last
                && number != last + 1
            {
                assert!(number > last && header.key && header.discontinuity, "{last} → {number}");
                jumps += 1;
            } else {
                assert!(!header.discontinuity);
            }
            last = Some(number);
        }
        assert!(jumps > 0);
        cancel.cancel();
        serving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_link_is_given_up_and_a_closed_one_noticed() {
        let s = stage(true);
        s.sub.video("avc1.4d401f");
        for n in 0..50 {
            s.sub.unit(n == 0, n * 40_000);
        }
        let (edge, centre) = sockets(100).await;
        let stuck = serving(&s, Tier::Sub, edge, CancellationToken::new());
        assert!(matches!(stuck.await.unwrap(), MediaEnd::Broken(why) if why.contains("took nothing")));
        drop(centre);
        let (edge, centre) = sockets(1 << 20).await;
        let closed = serving(&s, Tier::Sub, edge, CancellationToken::new());
        drop(centre);
        assert!(matches!(closed.await.unwrap(), MediaEnd::Broken(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn h265_ends_the_stream_with_the_reason() {
        let s = stage(true);
        s.sub.video("hvc1.1.6.L93.B0");
        s.sub.unit(true, 0);
        let (edge, mut centre) = sockets(1 << 20).await;
        let serving = serving(&s, Tier::Key, edge, CancellationToken::new());
        assert_eq!(binary(&mut centre).await.0.kind, Kind::End);
        assert!(matches!(centre.next().await, Some(Ok(Message::Close(_)))));
        match serving.await.unwrap() {
            MediaEnd::Failed { state: StreamState::Unsupported, why } => assert!(why.contains("H.265")),
            other => panic!("{other:?}"),
        }
    }
}
