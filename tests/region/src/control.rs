//! A simulated hall's control interface, for whoever drives it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The control interface of one simulated hall.
#[derive(Debug, Clone, Copy)]
pub struct Control(pub SocketAddr);

impl Control {
    async fn call(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.0).await?;
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                self.0,
                body.len()
            );
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer = tokio::time::timeout(Duration::from_secs(60), exchange)
            .await
            .context("the hall does not answer")??;
        let (head, body) = answer.split_once("\r\n\r\n").context("not an HTTP answer")?;
        if !head.starts_with("HTTP/1.1 2") {
            bail!("{method} {path}: {answer}");
        }
        Ok(if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(body).unwrap_or_else(|_| json!(body))
        })
    }

    /// Makes a camera fail: `freeze drop refuse unauthorized timestamp_jump new_parameters none`.
    pub async fn fault(&self, camera: &str, fault: &str, seconds: Option<f64>) -> Result<()> {
        let order = json!({"camera": camera, "fault": fault, "seconds": seconds});
        self.call("POST", "/faults", &order.to_string()).await?;
        Ok(())
    }

    /// Makes a device's line fail.
    pub async fn line_fault(&self, order: Value) -> Result<()> {
        self.call("POST", "/line-faults", &order.to_string()).await?;
        Ok(())
    }

    /// Lets the scripted day go on or pauses it; returns when no step is under way any more.
    pub async fn day(&self, running: bool) -> Result<()> {
        self.call("POST", "/day", &json!({ "running": running }).to_string()).await?;
        Ok(())
    }

    /// Does something by hand; gives the log's record.
    pub async fn act(&self, action: Value) -> Result<Value> {
        self.call("POST", "/act", &action.to_string()).await
    }

    /// Figures of every stream, and how far the day is.
    pub async fn state(&self) -> Result<Value> {
        self.call("GET", "/state", "").await
    }
}
