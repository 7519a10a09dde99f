//! Prints how many events a second the store takes with every projection, durably: batches of 100 over one link, one
//! after the other, and over eight links at once. Usage: `cargo run --release -p control-center --example intake_speed`.

use std::{error::Error, time::Instant};

use control_center::{
    projections,
    store::{Sql, Store, StoreError, Tx},
};
use control_protocol::{
    CaseId, Event, HallId, Happening as H, StoredEvent, UtcMillis,
    chain::ChainEnd,
    event::{ClockQuality, EndedBy, Grade, VERSION},
};

const BATCH: usize = 100;
const BATCHES: usize = 200;

fn journal(hall: &str, count: usize) -> Result<Vec<StoredEvent>, Box<dyn Error>> {
    let hall: HallId = hall.parse()?;
    let mut end = ChainEnd::start(1);
    let mut events = Vec::with_capacity(count);
    for n in 0..count {
        let (serial, step) = (n as u32 / 8 + 1, n % 8);
        let ticket = format!("A{serial:04}");
        let business = "社保".to_owned();
        let grade = Grade::new(5);
        let happening = match step {
            0 => H::TicketIssued { ticket, business, printed_waiting: Some(1), priority: 0 },
            1 => H::CaseOpened { ticket, business },
            2 => H::TicketCalled { ticket, business, by_number: false },
            3 => H::ServiceStarted { ticket },
            4 => H::ServiceEnded { ticket, ended_by: EndedBy::Evaluate },
            5 => H::RatingInvited { ticket, seconds: 10 },
            6 => H::RatingGiven { ticket, grade: grade.ok_or("grade")?, raw: 4 },
            _ => H::CaseClosed { ticket, ended_by: EndedBy::Rated, grade, accurate: true },
        };
        let date = jiff::civil::date(2026, 11, 22);
        let stored = StoredEvent::seal(Event {
            node: format!("hall-{hall}").parse()?,
            epoch: 1,
            seq: end.seq + 1,
            prev: end.digest,
            at: UtcMillis(1_795_309_200_000 + n as i64 * 1000),
            mono_us: n as u64,
            boot: "0d9f9a52-6f0c-4d2c-9a43-0a1f2d3c4b5a".into(),
            clock: ClockQuality::Synchronised,
            window: (step > 1).then(|| format!("{hall}-W{:02}", serial % 30 + 1).parse()).transpose()?,
            device: Some(format!("{hall}-W01-keypad")),
            case: Some(CaseId::new(&hall, date, serial)?),
            hall: hall.clone(),
            happening,
            v: VERSION,
        })?;
        end.follow(&stored)?;
        events.push(stored);
    }
    Ok(events)
}

fn take(tx: &mut Tx<'_>, stored: &StoredEvent) -> Result<(), StoreError> {
    let event = &stored.event;
    tx.execute(
        "INSERT INTO events (node, epoch, seq, prev, hash, at, hall, win, device, case_id, kind, bytes, received_at, projected) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $6, 1)",
        control_center::params![
            event.node, event.epoch, event.seq, event.prev, stored.digest, event.at, event.hall, event.window,
            event.device, event.case, event.happening.kind(), stored.bytes
        ],
    )?;
    projections::project_all(tx.sql, stored, &mut tx.changes)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for links in [1usize, 8] {
        let folder =
            std::env::temp_dir().join(format!("hallwatch-intake-speed-{}-{links}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let store = Store::open_sqlite(&folder.join("centre.db"))?;
        let per_link = BATCHES / links;
        let journals: Vec<_> = (0..links)
            .map(|n| journal(&format!("4501{:02}-01", n + 1), per_link * BATCH))
            .collect::<Result<_, _>>()?;
        let begun = Instant::now();
        let tasks: Vec<_> = journals
            .into_iter()
            .map(|events| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    for batch in events.chunks(BATCH) {
                        let (batch, at) = (batch.to_vec(), Instant::now());
                        store
                            .write("batch", move |tx| batch.iter().try_for_each(|event| take(tx, event)))
                            .await?;
                        times.push(at.elapsed());
                    }
                    Ok::<_, StoreError>(times)
                })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await??);
        }
        let seconds = begun.elapsed().as_secs_f64();
        times.sort();
        let events = times.len() * BATCH;
        println!(
            "{links} link(s): {events} events in {seconds:.2} s = {:.0} events/s; a batch of {BATCH}: p50 {:.1} ms, p99 {:.1} ms",
            events as f64 / seconds,
            times[times.len() / 2].as_secs_f64() * 1e3,
            times[times.len() * 99 / 100].as_secs_f64() * 1e3,
        );
        store.close().await;
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}
