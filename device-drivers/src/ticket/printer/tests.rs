//! Slips over a pipe to a simulated printer with faults.

use super::*;
use crate::{
    clock::SystemMonotonic,
    port::{HandedPort, Stream},
    simulator::printer::PaperPrinter,
    ticket::{TicketSlip, status::Paper},
};

const LONG: Duration = Duration::from_secs(20);

struct Bench {
    handle: PrinterHandle,
    printers: Vec<PaperPrinter>,
    events: mpsc::Receiver<DriverEvent>,
    counters: Arc<Counters>,
    cancel: CancellationToken,
    driving: tokio::task::JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.driving.abort();
    }
}

fn config() -> PrinterConfig {
    PrinterConfig {
        poll_ms: 30,
        reply_ms: 150,
        print_ms: 1500,
        quiet_ms: 300,
        ..PrinterConfig::new("h-T01-ticket".into())
    }
}

/// One printer a line; the driver opens the next when a line is lost.
fn bench_of(config: PrinterConfig, printers: Vec<PaperPrinter>) -> Bench {
    let cancel = CancellationToken::new();
    let mut near_ends = Vec::new();
    for printer in &printers {
        let (near, mut far) = tokio::io::duplex(64);
        near_ends.push(Box::new(near) as Stream);
        let (printer, cancel) = (printer.clone(), cancel.clone());
        tokio::spawn(async move { printer.serve(&mut far, &cancel).await });
    }
    let (driver, handle) = TicketPrinter::new(config, Box::new(HandedPort::new(near_ends)));
    let counters = driver.counters();
    let (sender, events) = mpsc::channel(64);
    let driving = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
    Bench { handle, printers, events, counters, cancel, driving }
}

fn bench() -> Bench {
    bench_of(config(), vec![PaperPrinter::new()])
}

fn slip(number: &str) -> Printout {
    TicketSlip {
        hall: "西乡塘区政务服务中心".into(),
        number: number.into(),
        business: "社会保险".into(),
        waiting: 3,
        at: jiff::civil::date(2026, 11, 22).at(9, 1, 2, 0),
        case: "450103-01-20261122-00001-X".into(),
        note: String::new(),
    }
    .printout(PaperWidth::Mm80)
}

async fn health(bench: &mut Bench, wanted: impl Fn(&Health) -> bool) {
    tokio::time::timeout(LONG, async {
        loop {
            if let Some(DriverEvent::Health { health, .. }) = bench.events.recv().await
                && wanted(&health)
            {
                return;
            }
        }
    })
    .await
    .expect("that health never came");
}

fn down_for(words: &str) -> impl Fn(&Health) -> bool {
    move |health| matches!(health, Health::Down { why } if why.contains(words))
}

#[tokio::test]
async fn a_slip_is_printed_and_that_is_known() {
    let mut bench = bench();
    let printed = bench.handle.print(slip("A001"), LONG).await.unwrap();
    assert_eq!(printed, Printed { confirmation: Confirmation::Done, interrupted: None });
    let slips = bench.printers[0].slips();
    assert_eq!(slips.len(), 1);
    assert!(slips[0].text().contains("A001\n业务：社会保险"), "{}", slips[0].text());
    assert_eq!(slips[0].symbols, [b"450103-01-20261122-00001-X".to_vec()]);
    assert_eq!(bench.handle.status().paper, Some(Paper::Present));
    health(&mut bench, |h| *h == Health::Up).await;
    assert_eq!((bench.counters.good(), bench.counters.bad()), (1, 0));
}

/// docs/reference/devices.md B1: near end, then end, then cover open, then recovered.
#[tokio::test]
async fn paper_and_cover_are_told_and_a_job_waits_for_the_person() {
    let mut bench = bench();
    let printer = bench.printers[0].clone();
    health(&mut bench, |h| *h == Health::Up).await;
    printer.set(|c| c.paper = Paper::NearEnd);
    bench.handle.watch().wait_for(|s| s.paper == Some(Paper::NearEnd)).await.unwrap();
    assert!(bench.handle.print(slip("A001"), LONG).await.is_ok(), "it prints until the end");
    printer.set(|c| c.paper = Paper::Out);
    health(&mut bench, down_for("out of paper")).await;
    let waiting = tokio::spawn({
        let handle = bench.handle.clone();
        async move { handle.print(slip("A002"), LONG).await }
    });
    printer.set(|c| c.cover_open = true);
    printer.set(|c| c.paper = Paper::Present);
    health(&mut bench, down_for("cover")).await;
    assert_eq!(printer.slips().len(), 1);
    printer.set(|c| c.cover_open = false);
    let printed = waiting.await.unwrap().unwrap();
    assert_eq!(printed, Printed { confirmation: Confirmation::Done, interrupted: None });
    assert_eq!(printer.slips().len(), 2);
    health(&mut bench, |h| *h == Health::Up).await;
}

#[tokio::test]
async fn a_job_nobody_can_print_is_refused_with_nothing_on_paper() {
    let bench = bench();
    bench.printers[0].set(|c| c.cutter_jammed = true);
    bench.handle.watch().wait_for(|s| s.trouble().is_some()).await.unwrap();
    let refused = bench.handle.print(slip("A001"), Duration::from_millis(300)).await;
    assert_eq!(refused, Err(NotPrinted::Refused(Trouble::Cutter)));
    bench.printers[0].set(|c| c.cutter_jammed = false);
    assert!(bench.handle.print(slip("A002"), LONG).await.is_ok());
    assert_eq!(bench.printers[0].slips().len(), 1);
}

#[tokio::test]
async fn paper_that_ends_in_the_middle_is_known() {
    let bench = bench();
    let printer = &bench.printers[0];
    printer.set(|c| c.lines_left = Some(2));
    let partial = bench.handle.print(slip("A001"), Duration::from_millis(400)).await;
    let Err(NotPrinted::Partial { why: Stopped::Trouble(Trouble::PaperOut), sent, of }) = partial else {
        panic!("{partial:?}");
    };
    assert_eq!(sent, of);
    assert_eq!((printer.slips().len(), printer.lines_hanging_out()), (0, 2));
    assert_eq!((bench.counters.good(), bench.counters.bad()), (0, 1));
    // The printer prints the rest by itself, and its late answer is not taken for the next slip's.
    printer.set(|c| c.paper = Paper::Present);
    printer.set(|c| c.lines_left = Some(2));
    let partial = bench.handle.print(slip("A002"), Duration::from_millis(400)).await;
    assert!(matches!(partial, Err(NotPrinted::Partial { .. })), "{partial:?}");
    assert_eq!(printer.slips().len(), 1);
}

#[tokio::test]
async fn paper_put_in_while_a_slip_waits_in_the_printer_finishes_it() {
    let bench = bench();
    let printer = bench.printers[0].clone();
    printer.set(|c| c.lines_left = Some(3));
    let printing = tokio::spawn({
        let handle = bench.handle.clone();
        async move { handle.print(slip("A001"), LONG).await }
    });
    bench.handle.watch().wait_for(|s| s.paper == Some(Paper::Out)).await.unwrap();
    assert_eq!(printer.lines_hanging_out(), 3);
    printer.set(|c| c.paper = Paper::Present);
    let printed = printing.await.unwrap().unwrap();
    assert_eq!(printed, Printed { confirmation: Confirmation::Done, interrupted: Some(Trouble::PaperOut) });
    assert_eq!(printer.slips().len(), 1);
}

#[tokio::test]
async fn a_cover_opened_on_a_printer_that_tells_by_itself() {
    let printer = PaperPrinter::new();
    let config = PrinterConfig { automatic_status: true, poll_ms: 60_000, ..config() };
    let mut bench = bench_of(config, vec![printer.clone()]);
    assert!(bench.handle.print(slip("A001"), LONG).await.is_ok());
    // No question is asked for a minute: it says so itself.
    printer.set(|c| c.cover_open = true);
    health(&mut bench, down_for("cover")).await;
    printer.set(|c| c.cover_open = false);
    health(&mut bench, |h| *h == Health::Up).await;
}

#[tokio::test]
async fn silence_is_unknown_and_not_well() {
    let deaf = PaperPrinter::new();
    deaf.set(|c| (c.answers_real_time, c.answers_in_turn) = (false, false));
    let mut bench = bench_of(config(), vec![deaf.clone()]);
    let printed = bench.handle.print(slip("A001"), LONG).await.unwrap();
    assert_eq!(printed.confirmation, Confirmation::Unanswered);
    assert!(bench.handle.status().is_unknown());
    health(&mut bench, |h| *h == Health::Up).await;
    // One that used to answer and no longer does is silent.
    deaf.set(|c| c.answers_real_time = true);
    bench.handle.watch().wait_for(|s| !s.is_unknown()).await.unwrap();
    deaf.set(|c| c.answers_real_time = false);
    health(&mut bench, |h| matches!(h, Health::Silent { .. })).await;
    assert!(bench.handle.status().is_unknown());
}

#[tokio::test]
async fn a_printer_without_buffered_answers_is_believed_by_its_status() {
    let bench = bench();
    bench.printers[0].set(|c| c.answers_in_turn = false);
    let printed = bench.handle.print(slip("A001"), LONG).await.unwrap();
    assert_eq!(printed, Printed { confirmation: Confirmation::NoTrouble, interrupted: None });
    assert_eq!(bench.printers[0].slips().len(), 1);
}

#[tokio::test]
async fn noise_on_the_line_changes_nothing() {
    let bench = bench();
    bench.printers[0].set(|c| c.noise = vec![0xFF, 0x80, 0x11, 0xC3]);
    let printed = bench.handle.print(slip("A001"), LONG).await.unwrap();
    assert_eq!(printed.confirmation, Confirmation::Done);
    assert_eq!(bench.handle.status().trouble(), None);
}

#[tokio::test]
async fn a_line_lost_in_the_middle_is_partial_and_one_lost_before_is_not() {
    let printers = vec![PaperPrinter::new(), PaperPrinter::new()];
    let mut bench = bench_of(config(), printers);
    health(&mut bench, |h| *h == Health::Up).await;
    let first = bench.printers[0].clone();
    // The printer takes no more than the pipe holds; then the plug is pulled.
    first.set(|c| c.stuck = true);
    let printing = tokio::spawn({
        let handle = bench.handle.clone();
        async move { handle.print(slip("A001"), LONG).await }
    });
    tokio::task::yield_now().await;
    first.unplug();
    let outcome = printing.await.unwrap();
    match outcome {
        // Bytes were out already: the caller must know.
        Err(NotPrinted::Partial { why: Stopped::Lost(_), sent, of }) => assert!(sent > 0 && sent < of),
        // None were: the second printer has got it.
        Ok(_) => assert_eq!(bench.printers[1].slips().len(), 1),
        other => panic!("{other:?}"),
    }
    assert!(bench.handle.print(slip("A002"), LONG).await.is_ok());
    assert!(bench.printers[1].slips().last().unwrap().text().contains("A002"));
}

#[tokio::test]
async fn a_stalled_slip_is_partial_and_an_absent_printer_says_so() {
    let bench = bench();
    bench.handle.watch().wait_for(|s| !s.is_unknown()).await.unwrap();
    let big = Printout::new().raster(48, &vec![0xAA; 48 * 200]).cut();
    let printer = bench.printers[0].clone();
    let printing = tokio::spawn({
        let (handle, big) = (bench.handle.clone(), big.clone());
        async move { handle.print(big, LONG).await }
    });
    while printer.received() < 600 {
        tokio::task::yield_now().await;
    }
    printer.set(|c| c.stuck = true);
    let outcome = printing.await.unwrap();
    assert!(
        matches!(outcome, Err(NotPrinted::Partial { why: Stopped::Stalled, sent, of }) if sent < of),
        "{outcome:?}"
    );
    let mut away = bench_of(config(), vec![]);
    health(&mut away, |h| matches!(h, Health::Down { .. })).await;
    let outcome = away.handle.print(slip("A001"), Duration::from_millis(100)).await;
    assert!(matches!(outcome, Err(NotPrinted::Away(_))), "{outcome:?}");
    away.cancel.cancel();
    (&mut away.driving).await.unwrap();
    assert_eq!(away.handle.print(slip("A001"), LONG).await, Err(NotPrinted::Ended));
}
