//! A media connection: one stream of one lease, dialled by the edge. Messages are checked and handed on as the very
//! bytes that came in; nothing is copied and nothing is kept here.

use std::time::Duration;

use bytes::Bytes;
use control_protocol::{
    LeaseId,
    channel::StreamDescription,
    frame::{Header, Kind},
    websocket::Message,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Nodes, count, leases::Entry};
use crate::site::upgrade::Socket;

/// How often the centre pings a quiet connection, and how long nothing at all may come before it is dead: a camera that
/// is down sends no frames, but its edge still answers.
const PING: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(20);
const WRITE: Duration = Duration::from_secs(5);

/// Serves a media connection until the stream, the lease or the link ends.
#[tracing::instrument(name = "media", skip_all, fields(hall = %entry.hall, stream = entry.stream.0, lease = %lease))]
pub(super) async fn run(
    nodes: Nodes,
    lease: LeaseId,
    entry: Entry,
    mut socket: Socket,
    stop: CancellationToken,
) {
    entry.side.opened(&lease);
    let mut heard = Instant::now();
    let mut ping = tokio::time::interval(PING);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let why = loop {
        tokio::select! {
            biased;
            () = entry.ended.cancelled() => break "nobody watches any more".to_owned(),
            () = stop.cancelled() => break "the centre stops".to_owned(),
            message = socket.next() => {
                let message = match message {
                    None => break "the edge closed the stream's connection".to_owned(),
                    Some(Err(error)) => break format!("the stream's connection broke: {error}"),
                    Some(Ok(message)) => message,
                };
                heard = Instant::now();
                if let Err(end) = pass(&nodes, &entry, message) {
                    break end;
                }
            }
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE {
                    break "nothing came on the stream's connection for 20 seconds".to_owned();
                }
                if heard.elapsed() >= PING
                    && !matches!(tokio::time::timeout(WRITE, socket.send(Message::Ping(Bytes::new()))).await, Ok(Ok(())))
                {
                    break "the stream's connection broke".to_owned();
                }
            }
        }
    };
    tracing::debug!(why, "a media connection has ended");
    entry.side.closed(&lease, &why);
    // Best effort: the other end may be gone.
    let _ = tokio::time::timeout(WRITE, socket.close(1000, "bye")).await;
}

/// Hands a message on, or says why the connection ends.
fn pass(nodes: &Nodes, entry: &Entry, message: Message) -> Result<(), String> {
    let figures = nodes.figures();
    match message {
        Message::Binary(bytes) => {
            let header = Header::read(&bytes).map_err(|error| {
                count(&figures.media_bad, 1);
                tracing::warn!(%error, "a frame message is not one; the connection is closed");
                error.to_string()
            })?;
            if header.stream != entry.stream || header.tier != entry.tier {
                count(&figures.media_bad, 1);
                tracing::warn!(
                    found = header.stream.0,
                    "a frame message of another stream; the connection is closed"
                );
                return Err("the edge sent a message of another stream".into());
            }
            count(&figures.media_messages, 1);
            count(&figures.media_bytes, bytes.len() as u64);
            if header.kind == Kind::End {
                return Err("the edge ended the stream".into());
            }
            entry.side.message(header, bytes);
            Ok(())
        }
        Message::Text(text) => match serde_json::from_str::<StreamDescription>(&text) {
            Ok(description) if description.codec.len() <= 64 => {
                entry.side.described(description);
                Ok(())
            }
            _ => {
                count(&figures.media_bad, 1);
                Err("the edge described its stream in words that mean nothing here".into())
            }
        },
        Message::Close { .. } => Err("the edge closed the stream's connection".into()),
        Message::Ping(_) | Message::Pong(_) => Ok(()),
    }
}
