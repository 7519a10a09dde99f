//! The floor: what it costs to copy these bytes on this machine at all. One thread for each camera reads from one TCP
//! connection and writes what it got to one connection for each viewer; no protocol, no TLS, nothing else.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
};

use anyhow::Result;
use region::ready::write_json;

/// What to copy.
#[derive(Debug, clap::Args)]
pub struct Order {
    /// Ports to read from, one for each camera.
    #[arg(long, value_delimiter = ',')]
    pub feeds: Vec<u16>,
    /// Viewers of each camera; copying begins when all have come.
    #[arg(long)]
    pub viewers: usize,
    /// File to write the ports to at which viewers may come, one for each camera.
    #[arg(long)]
    pub ready: PathBuf,
}

/// Largest piece copied at a time.
const PIECE: usize = 256 << 10;

/// Copies until every camera or every viewer has gone.
pub fn serve(order: &Order) -> Result<()> {
    let mut ports = Vec::new();
    let mut threads = Vec::new();
    for feed in order.feeds.iter().copied() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        ports.push(listener.local_addr()?.port());
        let viewers = order.viewers;
        threads.push(
            std::thread::Builder::new().stack_size(64 << 10).spawn(move || copy(&listener, feed, viewers))?,
        );
    }
    write_json(&order.ready, &ports)?;
    for thread in threads {
        if let Ok(Err(error)) = thread.join() {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn copy(listener: &TcpListener, feed: u16, viewers: usize) -> std::io::Result<()> {
    let mut sockets = Vec::new();
    while sockets.len() < viewers {
        let (socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let mut source = TcpStream::connect((Ipv4Addr::LOCALHOST, feed))?;
    let mut piece = vec![0; PIECE];
    loop {
        let count = source.read(&mut piece)?;
        if count == 0 || sockets.is_empty() {
            return Ok(());
        }
        let bytes = piece.get(..count).unwrap_or_default();
        sockets.retain_mut(|socket| socket.write_all(bytes).is_ok());
    }
}
