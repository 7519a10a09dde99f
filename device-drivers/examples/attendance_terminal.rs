//! A simulated attendance terminal on a port, TCP and UDP, for trying clients against it.
//!
//! `cargo run -p device-drivers --features simulator --example attendance_terminal -- 127.0.0.1:4370 12345`

use std::sync::Arc;

use device_drivers::{
    attendance::zk::records::Punch,
    clock::{LocalClock, SystemLocal},
    simulator::attendance::{Terminal, TerminalSetup},
};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4370".to_owned());
    let comm_key = arguments.next().and_then(|key| key.parse().ok()).unwrap_or(0);
    let local = SystemLocal(jiff::tz::TimeZone::system());
    let users = vec!["1001".to_owned(), "1002".to_owned()];
    let start = local.local_now().saturating_sub(jiff::Span::new().days(2));
    let names = vec!["张三".to_owned(), "李四".to_owned()];
    let pace = std::time::Duration::from_millis(20);
    let setup = TerminalSetup { comm_key, users, names, pace, ..TerminalSetup::default() };
    let terminal = Terminal::new(setup, Arc::new(local));
    terminal.seed((0..3000).map(|n| Punch {
        employee: (1001 + n % 2).to_string(),
        at: start.saturating_add(jiff::Span::new().seconds(n * 50)),
        verify: 1,
        state: (n % 2) as u8,
    }));
    let listener = tokio::net::TcpListener::bind(&address).await?;
    let socket = tokio::net::UdpSocket::bind(listener.local_addr()?).await?;
    println!("{}", listener.local_addr()?);
    let cancel = CancellationToken::new();
    tokio::select! {
        served = terminal.serve(listener, cancel.clone()) => served,
        served = terminal.serve_udp(socket, cancel.clone()) => served,
        stopped = tokio::signal::ctrl_c() => {
            cancel.cancel();
            stopped
        }
    }
}
