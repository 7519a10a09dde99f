//! Libraries for fingerprint modules that are not ours enrol and find fingers on the simulated module, and our driver
//! identifies the fingers that they enrolled (issue "Real window hardware", "What it must show", 2).

use std::{process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use device_drivers::{
    attendance::fingerprint::{Family, ModuleConfig, ModuleDriver, Slot},
    clock::{SystemLocal, SystemMonotonic},
    port::{SerialConfig, SerialPort},
    reading::{DriverEvent, Fact},
    simulator::{
        fingerprint::{FingerprintModule, ModuleSetup},
        pty::Pty,
    },
};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use system_tests::{peer::python, stage::workspace};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a peer on the module; lays the fingers on that it asks for. Gives what it says at its end.
async fn peer(package: &str, script: &str, module: &FingerprintModule, line: &str) -> Result<Value> {
    let mut child = Command::new(python(package)?)
        .arg(workspace().join("tests/system/peers").join(script))
        .arg(line)
        .env("BLINKA_FORCEBOARD", "GENERIC_AGNOSTIC_BOARD")
        .env("BLINKA_FORCECHIP", "GENERIC_X86")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let mut output = BufReader::new(child.stdout.take().context("no output")?).lines();
    let talk = async {
        while let Some(said) = output.next_line().await? {
            if let Some(finger) = said.strip_prefix("FINGER ") {
                let finger: u32 = finger.parse()?;
                module.lay((finger > 0).then_some(finger));
                input.write_all(b"done\n").await?;
            } else if said.starts_with('{') {
                return Ok(serde_json::from_str(&said)?);
            }
        }
        anyhow::bail!("{script} ended without a word: see its errors above")
    };
    let said = tokio::time::timeout(PATIENCE, talk).await.context("the peer took too long")?;
    let _ended = child.kill().await;
    module.lay(None);
    said
}

/// The employee of the finger that is laid on, as our driver tells it.
async fn ours(module: &FingerprintModule, line: &str, slots: Vec<Slot>, finger: u32) -> Result<String> {
    let config = ModuleConfig::new("h-A02-attendance".into(), Family::Ef01, slots);
    let port = Box::new(SerialPort::new(SerialConfig::new(line, 57600)));
    let driver = ModuleDriver::new(config, port, Arc::new(SystemLocal(TimeZone::UTC)));
    let (sender, mut events) = mpsc::channel(8);
    let cancel = CancellationToken::new();
    let driving = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
    module.lay(Some(finger));
    let employee = loop {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await?.context("the driver ended")?;
        if let DriverEvent::Reading(reading) = event
            && let Fact::Punch { employee, .. } = reading.fact
        {
            reading.receipt.durable();
            break employee;
        }
    };
    module.lay(None);
    cancel.cancel();
    driving.await?;
    Ok(employee)
}

fn simulated() -> Result<(FingerprintModule, String)> {
    let module = FingerprintModule::new(ModuleSetup::new(Family::Ef01));
    let mut pty = Pty::open(None)?;
    let line = pty.path().to_string_lossy().into_owned();
    let serving = module.clone();
    tokio::spawn(async move { serving.serve(&mut pty, &CancellationToken::new()).await });
    Ok((module, line))
}

fn slots() -> Vec<Slot> {
    (0..10).map(|slot| Slot { slot, employee: (2000 + slot).to_string() }).collect()
}

#[tokio::test]
async fn what_pyfingerprint_enrols_our_driver_identifies() -> Result<()> {
    let (module, line) = simulated()?;
    let said = peer("pyfingerprint", "finger_pyfingerprint.py", &module, &line).await?;
    ensure!(said["capacity"] == 300 && said["security"] == 3, "{said}");
    ensure!(said["stored"] == json!([0, 1, 2]) && said["count"] == 3, "{said}");
    ensure!(said["found"] == json!([1, 120]), "{said}");
    ensure!(said["index"] == json!([0, 1, 2]) && said["left"] == json!([1, 2]), "{said}");
    ensure!(module.slots() == [1, 2], "{:?}", module.slots());
    for (finger, employee) in [(502, "2001"), (503, "2002")] {
        ensure!(ours(&module, &line, slots(), finger).await? == employee, "finger {finger}");
    }
    println!("pyfingerprint enrolled slots 0 to 2 and found slot 1; our driver names the same: {said}");
    Ok(())
}

#[tokio::test]
async fn what_adafruits_library_enrols_our_driver_identifies() -> Result<()> {
    let (module, line) = simulated()?;
    let said = peer("adafruit_blinka", "finger_adafruit.py", &module, &line).await?;
    ensure!(said["capacity"] == 300 && said["security"] == 3 && said["count"] == 1, "{said}");
    ensure!(said["templates"] == json!([9]) && said["found"] == json!([9, 120]), "{said}");
    ensure!(ours(&module, &line, slots(), 701).await? == "2009", "finger 701");
    println!("Adafruit's library enrolled slot 9 and found it; our driver names the same: {said}");
    Ok(())
}
