//! A page's end of the wall socket, for programs.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::api::Api;

/// What the wall socket says.
#[derive(Debug, Clone)]
pub enum Said {
    /// A JSON text.
    Text(Value),
    /// A frame message.
    Frame(Bytes),
}

/// An open wall socket.
pub struct Wall(WebSocketStream<TlsStream<TcpStream>>);

impl Wall {
    /// Opens the wall as the person `api` is.
    pub async fn open(api: &Api) -> Result<Self> {
        let mut request = format!("wss://{}/api/v1/wall", api.authority()).into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("origin", format!("https://{}", api.authority()).parse()?);
        if let Some(cookie) = api.cookie() {
            headers.insert("cookie", cookie.parse()?);
        }
        let stream = api.connect().await?;
        let opening = tokio_tungstenite::client_async(request, stream);
        let (socket, _) =
            tokio::time::timeout(Duration::from_secs(10), opening).await.context("opening the wall")??;
        Ok(Self(socket))
    }

    /// Watches these cameras at `tier`, tile numbers from 1.
    pub async fn watch(&mut self, cameras: &[&str], tier: &str) -> Result<()> {
        let set: Vec<Value> = cameras
            .iter()
            .enumerate()
            .map(|(i, camera)| serde_json::json!({"tile": i + 1, "camera": camera, "tier": tier}))
            .collect();
        self.send(serde_json::json!({ "watch": set })).await
    }

    /// Sends a text.
    pub async fn send(&mut self, text: Value) -> Result<()> {
        Ok(self.0.send(Message::text(text.to_string())).await?)
    }

    /// The next thing said.
    pub async fn next(&mut self) -> Result<Said> {
        loop {
            match self.0.next().await.context("the wall was closed")?? {
                Message::Text(text) => return Ok(Said::Text(serde_json::from_str(&text)?)),
                Message::Binary(bytes) => return Ok(Said::Frame(bytes)),
                Message::Close(frame) => bail!("the wall was closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The next thing for which `wanted` gives something, within `limit`.
    pub async fn find<T>(
        &mut self,
        limit: Duration,
        mut wanted: impl FnMut(&Said) -> Option<T>,
    ) -> Result<T> {
        let search = async {
            loop {
                if let Some(found) = wanted(&self.next().await?) {
                    return anyhow::Ok(found);
                }
            }
        };
        tokio::time::timeout(limit, search).await.context("not said on the wall in time")?
    }
}
