//! A simulated attendance terminal on a TCP port, for trying clients against it.
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
    let terminal =
        Terminal::new(TerminalSetup { comm_key, users, ..TerminalSetup::default() }, Arc::new(local));
    terminal.seed((0..3000).map(|n| Punch {
        employee: (1001 + n % 2).to_string(),
        at: start.saturating_add(jiff::Span::new().seconds(n * 50)),
        verify: 1,
        state: (n % 2) as u8,
    }));
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("{}", listener.local_addr()?);
    let cancel = CancellationToken::new();
    tokio::select! {
        served = terminal.serve(listener, cancel.clone()) => served,
        stopped = tokio::signal::ctrl_c() => {
            cancel.cancel();
            stopped
        }
    }
}
