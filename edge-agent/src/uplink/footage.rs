//! Deliveries of footage: one WebSocket for each, dialled by the edge. First the answer as text, then the bytes that the
//! centre asks for, as fast as it takes them. At most a fragment of footage is in memory for each; a centre that takes
//! nothing for five minutes (a viewer who paused and left) is given up.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use control_protocol::{
    DeliveryId,
    footage::{FOOTAGE_PATH, FootageAnswer, FootageAsk, MESSAGE, NoFootage, SendBytes},
    websocket::{Message, Socket},
};
use futures_util::StreamExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::channel::Dial;
use crate::recorder::{Recorder, Source};

/// How long the answer may take to go out, and the question for bytes to come.
const ANSWERED: Duration = Duration::from_secs(20);
/// How long the far end may take nothing.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Dials a delivery and serves it to its end. A hall that records nothing has no recorder, one that is asked too much
/// at once answers that it is `busy`.
pub(super) async fn deliver<D: Dial>(
    dial: Arc<D>,
    recorder: Option<Recorder>,
    delivery: DeliveryId,
    ask: FootageAsk,
    busy: bool,
) {
    let path = format!("{FOOTAGE_PATH}/{delivery}");
    let (answer, source) = match recorder {
        _ if busy => (nothing(NoFootage::Busy, "the hall gives as much footage as it can: try again"), None),
        None => (nothing(NoFootage::NoRecorder, "this hall does not record its cameras"), None),
        Some(recorder) => recorder.answer(ask).await,
    };
    let mut socket = match dial.websocket(&path).await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%delivery, "the delivery of footage could not be dialled: {error}");
            return;
        }
    };
    match serve(&mut socket, answer, source).await {
        Ok(bytes) => tracing::debug!(%delivery, bytes, "footage is delivered"),
        Err(why) => tracing::debug!(%delivery, "a delivery of footage ended: {why}"),
    }
}

fn nothing(reason: NoFootage, why: &str) -> FootageAnswer {
    FootageAnswer::Nothing { reason, why: why.to_owned(), gaps: Vec::new() }
}

/// Serves an open delivery; gives the bytes sent, or why it ended before its end.
pub(crate) async fn serve<S>(
    socket: &mut Socket<S>,
    answer: FootageAnswer,
    source: Option<Source>,
) -> Result<u64, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let text = serde_json::to_string(&answer).map_err(|e| e.to_string())?;
    within(ANSWERED, socket.send(Message::Text(text))).await?;
    let sent = match source {
        Some(source) => send(socket, source).await,
        None => Ok(0),
    };
    let reason = sent.as_ref().err().map_or("", String::as_str);
    let farewell = if reason.is_empty() { socket.close(1000, "") } else { socket.close(1011, reason) };
    // Where the far end has gone already nobody hears it.
    let _ = timeout(FAREWELL, farewell).await;
    sent
}

async fn send<S>(socket: &mut Socket<S>, source: Source) -> Result<u64, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let wanted = timeout(ANSWERED, asked(socket)).await.map_err(|_| "no bytes were asked for".to_owned())?;
    let Some(SendBytes { from, to }) = wanted? else { return Ok(0) };
    if from > to || to > source.bytes() {
        return Err(format!("bytes {from} to {to} of {} were asked for", source.bytes()));
    }
    let mut stream = source.stream(from..to);
    let mut sent = 0;
    while let Some(bytes) = stream.next().await {
        let mut bytes: Bytes = bytes.map_err(|e| format!("the footage cannot be read: {e}"))?;
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(MESSAGE));
            sent += piece.len() as u64;
            within(PATIENCE, socket.send(Message::Binary(piece))).await?;
        }
    }
    if sent == to - from { Ok(sent) } else { Err(format!("only {sent} of {} bytes are there", to - from)) }
}

/// The range asked for; none where the far end closes.
async fn asked<S>(socket: &mut Socket<S>) -> Result<Option<SendBytes>, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text)
                    .map(Some)
                    .map_err(|e| format!("the bytes asked for cannot be read: {e}"));
            }
            Some(Ok(Message::Close { .. })) | None => return Ok(None),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.to_string()),
        }
    }
}

async fn within(limit: Duration, done: impl Future<Output = std::io::Result<()>>) -> Result<(), String> {
    match timeout(limit, done).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the link took nothing for {} s", limit.as_secs())),
    }
}
