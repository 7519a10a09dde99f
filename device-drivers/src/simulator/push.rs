//! A terminal that calls in over HTTP: attendance PUSH (docs/reference/devices.md A2).
//!
//! Keeps its log and where it is in it, calls as real firmware does (start-up, uploads, questions), and sends a batch again
//! until it hears `OK:<its size>`. Writes and reads HTTP by itself, so that it shares nothing with the server it calls.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::attendance::zk::records::Punch;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// Longest answer read.
const LONGEST: usize = 64 * 1024;

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status.
    pub status: u16,
    /// Header lines.
    pub head: String,
    /// Text.
    pub body: String,
}

/// A misbehaviour of one upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushFault {
    /// The connection is closed before the answer comes.
    HangUp,
    /// The batch is sent again although it was acknowledged.
    Again,
    /// A line that no server can read stands in the batch.
    BadLine,
    /// The connection is closed in the middle of the body.
    HalfBody,
}

/// A simulated terminal.
#[derive(Clone, Debug)]
pub struct PushDevice {
    serial: String,
    server: SocketAddr,
    comm_key: String,
    log: Vec<Punch>,
    /// Entries that were acknowledged.
    sent: usize,
    stamp: u64,
    fault: Option<PushFault>,
}

impl PushDevice {
    /// A terminal with this serial number that calls there.
    pub fn new(serial: &str, server: SocketAddr, comm_key: &str) -> Self {
        Self {
            serial: serial.to_owned(),
            server,
            comm_key: comm_key.to_owned(),
            log: Vec::new(),
            sent: 0,
            stamp: 0,
            fault: None,
        }
    }

    /// Somebody punches.
    pub fn punch(&mut self, punch: Punch) {
        self.log.push(punch);
    }

    /// Orders a fault for the next upload.
    pub fn fault(&mut self, fault: PushFault) {
        self.fault = Some(fault);
    }

    /// Entries not acknowledged yet.
    pub fn waiting(&self) -> usize {
        self.log.len() - self.sent
    }

    /// Calls at start-up. A server that knows no stamp gets everything again.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn start(&mut self) -> io::Result<HttpAnswer> {
        let target = format!(
            "/iclock/cdata?SN={}&options=all&pushver=2.4.1&DeviceType=att&language=83&pushcommkey={}",
            self.serial, self.comm_key
        );
        let answer = self.call("GET", &target, b"").await?;
        if answer.body.lines().any(|line| matches!(line, "ATTLOGStamp=None" | "ATTLOGStamp=0")) {
            self.sent = 0;
        }
        Ok(answer)
    }

    /// Sends at most `most` entries of the log. They count as sent when `OK:<count>` comes.
    ///
    /// # Errors
    /// When nobody answers, or by a fault.
    pub async fn upload(&mut self, most: usize) -> io::Result<HttpAnswer> {
        let batch = &self.log[self.sent..(self.sent + most).min(self.log.len())];
        let count = batch.len();
        let mut body = batch.iter().map(line).collect::<String>();
        self.stamp += 1;
        let target = format!("/iclock/cdata?SN={}&table=ATTLOG&Stamp={}", self.serial, self.stamp);
        let mut expected = count;
        match self.fault.take() {
            Some(PushFault::HangUp) => {
                let _given_up = self.dial("POST", &target, body.as_bytes(), body.len()).await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Some(PushFault::HalfBody) => {
                let half = &body.as_bytes()[..body.len() / 2];
                let _given_up = self.dial("POST", &target, half, body.len()).await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Some(PushFault::BadLine) => {
                body.push_str("1001\tyesterday\t0\t1\n");
                expected += 1;
            }
            Some(PushFault::Again) => {
                self.call("POST", &target, body.as_bytes()).await?;
            }
            None => {}
        }
        let answer = self.call("POST", &target, body.as_bytes()).await?;
        if answer.status == 200 && answer.body.trim() == format!("OK:{expected}") {
            self.sent += count;
        }
        Ok(answer)
    }

    /// Asks whether there is something to do.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn poll(&self) -> io::Result<HttpAnswer> {
        let target = format!(
            "/iclock/getrequest?SN={}&INFO=Ver%208.0.4.3,3,3,{},10.0.0.9,10",
            self.serial,
            self.log.len()
        );
        self.call("GET", &target, b"").await
    }

    /// Any request.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn call(&self, verb: &str, target: &str, body: &[u8]) -> io::Result<HttpAnswer> {
        let mut answer = self.dial(verb, target, body, body.len()).await?.take(LONGEST as u64);
        let mut all = Vec::new();
        tokio::time::timeout(PATIENCE, answer.read_to_end(&mut all))
            .await
            .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
        let text = String::from_utf8_lossy(&all).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(HttpAnswer { status, head: head.to_owned(), body: body.to_owned() })
    }

    async fn dial(&self, verb: &str, target: &str, body: &[u8], length: usize) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.server).await?;
        let head = format!(
            "{verb} {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: iClock Proxy/1.09\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n",
            self.server
        );
        stream.write_all(head.as_bytes()).await?;
        // A server that refuses may have closed already; its answer is still to be read.
        let _sent_or_refused = stream.write_all(body).await;
        Ok(stream)
    }
}

/// An entry as the firmware sends it; the ways to verify are numbered as PUSH does.
fn line(punch: &Punch) -> String {
    let verify = match punch.verify {
        0 => 3,
        2 => 4,
        255 => 200,
        same => same,
    };
    format!(
        "{}\t{}\t{}\t{verify}\t0\t0\t0\n",
        punch.employee,
        punch.at.strftime("%Y-%m-%d %H:%M:%S"),
        punch.state
    )
}
