//! Printers' software that is not ours: what we print is interpreted by `emupos`, and what `python-escpos` prints is read
//! by the tap. (Issue "Real window hardware", "What it must show", 2.)

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use data_encoding::HEXLOWER;
use device_drivers::{
    clock::SystemMonotonic,
    port::{HandedPort, Stream, TcpPort, tcp::TcpConfig},
    reading::{DriverEvent, Fact},
    ticket::{
        NotPrinted, PaperWidth, PrinterConfig, PrinterHandle, TapConfig, TicketPrinter, TicketSlip,
        TicketTap,
        escpos::Reader,
        printer::{Confirmation, Stopped},
        status::{Paper, Trouble},
    },
};
use region::process::{run, until};
use serde::Deserialize;
use system_tests::{
    peer::{PrintedSlip, ReceiptPrinter, python, rows},
    stage::workspace,
};
use tokio::{io::AsyncWriteExt, sync::mpsc};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(30);

fn slip(number: &str, serial: u32) -> TicketSlip {
    TicketSlip {
        hall: "西乡塘区政务服务中心".into(),
        number: number.into(),
        business: "不动产登记（㙍塘村）".into(),
        waiting: 3,
        at: jiff::civil::date(2026, 11, 22).at(9, 1, 2, 0),
        case: format!("450103-01-20261122-{serial:05}-X"),
        note: "过号请重新取号".into(),
    }
}

async fn printed(printer: &ReceiptPrinter, count: usize) -> Result<PrintedSlip> {
    until("a slip", LONG, async || {
        let slips = printer.slips()?;
        ensure!(slips.len() <= count, "more slips than were printed: {slips:?}");
        Ok(slips.get(count - 1).cloned())
    })
    .await
}

async fn known(handle: &PrinterHandle, paper: Paper) -> Result<()> {
    let mut watching = handle.watch();
    tokio::time::timeout(LONG, watching.wait_for(|s| s.paper == Some(paper))).await??;
    Ok(())
}

#[tokio::test]
async fn what_we_print_is_read_by_a_printer_that_is_not_ours() -> Result<()> {
    let folder = workspace().join("target/slips");
    // Pictures of an earlier run must not be taken for this one's.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let printer = ReceiptPrinter::start(&folder).await?;
    let config = PrinterConfig { poll_ms: 200, automatic_status: true, ..PrinterConfig::new("h-T01".into()) };
    let port = TcpPort::new(TcpConfig { address: printer.address.clone() });
    let (driver, handle) = TicketPrinter::new(config, Box::new(port));
    let (events, mut health) = mpsc::channel(64);
    let cancel = CancellationToken::new();
    let driving = tokio::spawn(driver.run(Arc::new(SystemMonotonic), events, cancel.clone()));
    tokio::spawn(async move { while health.recv().await.is_some() {} });

    for (count, paper) in [(1, PaperWidth::Mm80), (2, PaperWidth::Mm58)] {
        let ticket = slip("A001", count);
        let outcome = handle.print(ticket.printout(paper), LONG).await?;
        ensure!(outcome.confirmation == Confirmation::Done, "{outcome:?}");
        let got = printed(&printer, count as usize).await?;
        println!("emupos printed {}:\n{}", got.png.display(), got.text);
        let lines: Vec<&str> = got.text.lines().filter(|l| !l.is_empty()).collect();
        let code = format!("[qr {}]", ticket.case);
        ensure!(
            lines
                == [
                    "西乡塘区政务服务中心",
                    "A001",
                    "业务：不动产登记（㙍塘村）",
                    "您前面等候：3 人",
                    "时间：2026-11-22 09:01:02",
                    &code,
                    &ticket.case,
                    "过号请重新取号",
                ],
            "{lines:?}"
        );
        ensure!(got.boundary == "cut" && got.unknown.is_empty(), "{got:?}");
        ensure!(got.qr == [ticket.case.clone()], "OpenCV reads {:?} off {}", got.qr, got.png.display());
    }

    // Its status is read as it means it; it holds what it is sent while it has no paper.
    printer.fault("paper-near-end", true).await?;
    known(&handle, Paper::NearEnd).await?;
    printer.fault("paper-out", true).await?;
    known(&handle, Paper::Out).await?;
    let refused = handle.print(slip("A002", 3).printout(PaperWidth::Mm80), Duration::from_millis(500)).await;
    ensure!(refused == Err(NotPrinted::Refused(Trouble::PaperOut)), "{refused:?}");
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.print(slip("A003", 4).printout(PaperWidth::Mm80), LONG).await }
    });
    printer.fault("paper-out", false).await?;
    printer.fault("paper-near-end", false).await?;
    let outcome = waiting.await??;
    ensure!(outcome.confirmation == Confirmation::Done, "{outcome:?}");
    ensure!(printed(&printer, 3).await?.text.contains("A003"));
    printer.fault("cover-open", true).await?;
    let mut watching = handle.watch();
    tokio::time::timeout(LONG, watching.wait_for(|s| s.trouble() == Some(Trouble::CoverOpen))).await??;
    printer.fault("cover-open", false).await?;
    tokio::time::timeout(LONG, watching.wait_for(|s| s.trouble().is_none())).await??;

    // Without the status by itself, and with paper that ends just as the slip arrives: it is held, and that is told.
    let ours = handle.clone();
    let racing = tokio::spawn(async move {
        ours.print(slip("A004", 5).printout(PaperWidth::Mm80), Duration::from_millis(800)).await
    });
    printer.fault("paper-out", true).await?;
    match racing.await? {
        Err(NotPrinted::Refused(Trouble::PaperOut))
        | Err(NotPrinted::Partial { why: Stopped::Trouble(Trouble::PaperOut), .. }) => {}
        Ok(done) if done.confirmation == Confirmation::Done => {}
        other => bail!("{other:?}"),
    }
    cancel.cancel();
    driving.await?;
    Ok(())
}

/// A slip of python-escpos.
#[derive(Debug, Deserialize)]
struct Foreign {
    name: String,
    hex: String,
    number: String,
    business: String,
    waiting: u32,
    time: jiff::civil::DateTime,
    qr: Option<String>,
}

#[tokio::test]
async fn what_python_escpos_prints_is_read_by_the_tap() -> Result<()> {
    let script = workspace().join("tests/system/peers/escpos_slips.py");
    let script = script.to_str().context("a path that is not UTF-8")?;
    let said = run(&python("escpos")?, &[script], "").await?;
    let slips: Vec<Foreign> = rows(&said).map(serde_json::from_value).collect::<Result<_, _>>()?;
    ensure!(slips.len() == 10, "{} slips", slips.len());
    let patterns = [
        r"^(?<number>[A-Z]\d{3})$",
        r"^业务：(?<business>\S+)",
        r"等候人数：(?<waiting>\d+) 人",
        r"(?<time>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})",
    ];
    let config = TapConfig::new("h-T01".into(), patterns.map(str::to_owned).to_vec());
    let (near, mut far) = tokio::io::duplex(512);
    let tap = TicketTap::new(config, Box::new(HandedPort::new([Box::new(near) as Stream])))?;
    let counters = tap.counters();
    let (events, mut heard) = mpsc::channel(64);
    let cancel = CancellationToken::new();
    let driving = tokio::spawn(tap.run(Arc::new(SystemMonotonic), events, cancel.clone()));
    for foreign in &slips {
        let bytes = HEXLOWER.decode(foreign.hex.as_bytes())?;
        // As a serial line delivers: in pieces that mind no command and no character.
        let writing = async {
            for piece in bytes.chunks(7) {
                far.write_all(piece).await?;
            }
            anyhow::Ok(())
        };
        let reading = async {
            loop {
                match tokio::time::timeout(LONG, heard.recv()).await?.context("the tap ended")? {
                    DriverEvent::Reading(reading) => return anyhow::Ok(reading.fact),
                    DriverEvent::Health { health, .. } => println!("{}: {health:?}", foreign.name),
                    DriverEvent::LogRead { .. } => {}
                }
            }
        };
        let ((), fact) = tokio::try_join!(writing, reading)?;
        let wanted = Fact::Ticket {
            number: foreign.number.clone(),
            business: foreign.business.clone(),
            waiting: Some(foreign.waiting),
            printed_at: Some(foreign.time),
        };
        ensure!(fact == wanted, "{}: {fact:?} for {wanted:?}", foreign.name);
        let mut reader = Reader::new();
        reader.push(&bytes);
        if reader.is_partial() {
            // A printer without a cutter: the slip ends with the line's silence.
            reader.end_of_silence();
        }
        let slip = reader.next_slip().context("no slip")?;
        let codes: Vec<_> = slip.symbols.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect();
        ensure!(codes.first() == foreign.qr.as_ref() && codes.len() <= 1, "{}: {codes:?}", foreign.name);
        println!("{}: {} bytes, {} {}", foreign.name, bytes.len(), foreign.number, foreign.business);
    }
    ensure!((counters.good(), counters.unmatched()) == (10, 0), "{counters:?}");
    cancel.cancel();
    driving.await?;
    Ok(())
}
