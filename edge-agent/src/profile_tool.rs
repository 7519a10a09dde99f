//! `edge-agent profile`: check a profile's file, and sniff an unknown device's line into a draft.
//!
//! Owns the conversation with the person at the terminal. What is proposed is decided by
//! [`device_drivers::profile::sniff`], which the hall's pages call too.

use std::{
    io::{BufRead, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use device_drivers::{
    clock::{Mono, MonotonicClock, SystemMonotonic},
    port::{Port, SerialConfig, SerialPort, Stream},
    profile::{
        check, shipped,
        sniff::{Burst, Circumstances, Finding, Label, bursts, label_name, label_named, propose},
    },
};
use tokio::io::AsyncReadExt;

/// A silence this long ends a burst: twice the longest gap within a frame at 9600 baud (docs/reference/devices.md B2.1).
const GAP: Duration = Duration::from_millis(50);
/// Most bytes kept of one button.
const MOST_BYTES: usize = 64 * 1024;

/// `edge-agent profile …`.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Read a profile and run the tests in it.
    Check {
        /// The profile.
        file: PathBuf,
    },
    /// Listen to an unknown device while its buttons are pressed, and propose a profile.
    Sniff(Sniff),
}

/// What to listen to.
#[derive(Debug, Args)]
pub struct Sniff {
    /// The serial line.
    port: PathBuf,
    /// Bits per second; most devices speak 9600, then 4800, 19200, 115200.
    #[arg(long, default_value_t = 9600)]
    baud: u32,
    /// Where the draft goes; without it, to standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The draft's name: small letters, digits and hyphens.
    #[arg(long, default_value = "sniffed")]
    name: String,
    /// The buttons in the order in which they will be pressed, such as `5,4,3,2,1` (grades) or `call_next,recall`. Without
    /// it each is asked for.
    #[arg(long, value_delimiter = ',')]
    buttons: Vec<String>,
    /// How often each button is pressed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=10))]
    presses: u8,
    /// How long to listen for each button; without it, until Enter.
    #[arg(long)]
    seconds: Option<f64>,
    /// How long to listen before the first button is pressed, for what the device says of its own accord.
    #[arg(long, default_value_t = 3.0)]
    quiet_seconds: f64,
}

/// Runs `edge-agent profile …`.
///
/// # Errors
/// A profile that is wrong, a line that cannot be read, nothing that can be proposed.
pub async fn run(command: ProfileCommand) -> anyhow::Result<()> {
    match command {
        ProfileCommand::Check { file } => check_file(&file),
        ProfileCommand::Sniff(sniff) => sniff.run().await,
    }
}

fn check_file(file: &Path) -> anyhow::Result<()> {
    let text = shipped::read(file)?;
    let (profile, outcomes) = check(&file.display().to_string(), &text)?;
    let mut failed = 0;
    for outcome in &outcomes {
        match &outcome.failure {
            None => println!("ok      line {:>4}  {}", outcome.line, outcome.title),
            Some(why) => {
                failed += 1;
                println!("FAILED  line {:>4}  {}: {why}", outcome.line, outcome.title);
            }
        }
    }
    if failed > 0 {
        bail!("{}: {failed} of {} tests fail; mend the profile or the test", file.display(), outcomes.len());
    }
    println!("{}: {} tests pass", profile.name(), outcomes.len());
    if profile.evaluates() {
        println!("its grade map is unconfirmed: press every button when the device is paired");
    }
    Ok(())
}

/// A line of standard input, asked for on a thread of its own.
async fn ask(what: String) -> anyhow::Result<Option<String>> {
    let line = tokio::task::spawn_blocking(move || {
        eprint!("{what}");
        std::io::stderr().flush()?;
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line)?;
        Ok::<_, std::io::Error>((read > 0).then(|| line.trim().to_owned()))
    });
    Ok(line.await??)
}

/// Listens until `until` is over.
async fn listen(
    stream: &mut Stream,
    until: impl Future<Output = ()>,
) -> anyhow::Result<Vec<(Mono, Vec<u8>)>> {
    let mut pieces = Vec::new();
    let mut total = 0;
    let mut buffer = [0u8; 512];
    tokio::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => return Ok(pieces),
            read = stream.read(&mut buffer) => match read.context("reading the line")? {
                0 => bail!("the line hung up"),
                n => {
                    total += n;
                    if total > MOST_BYTES {
                        bail!("more than {MOST_BYTES} bytes were heard for one button: something talks on the line all the time");
                    }
                    pieces.push((SystemMonotonic.now(), buffer[..n].to_vec()));
                }
            }
        }
    }
}

async fn after(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 3600.0))).await;
}

impl Sniff {
    async fn run(self) -> anyhow::Result<()> {
        let mut port = SerialPort::new(SerialConfig::new(&self.port, self.baud));
        let mut stream = port.open().await.with_context(|| self.port.display().to_string())?;
        eprintln!("listening on {} at {} baud; press nothing yet", self.port.display(), self.baud);
        let heard = listen(&mut stream, after(self.quiet_seconds)).await?;
        let mut all = bursts(&heard, Label::Background, GAP);
        let mut labels = self.buttons.iter();
        let mut pressed = 0usize;
        loop {
            let text = match labels.next() {
                Some(text) => text.clone(),
                None if !self.buttons.is_empty() => break,
                None => match ask(
                    "which button next? (5 to 1 for a grade, call_next, recall, …; empty when done) ".into(),
                )
                .await?
                {
                    Some(text) if !text.is_empty() => text,
                    _ => break,
                },
            };
            let label = label_named(&text)
                .with_context(|| format!("{text} is no button: 1 to 5 for a grade, or call_next, recall, start, evaluate, cancel, function, pause, transfer, metre"))?;
            let some = self.one(&mut stream, label).await?;
            eprintln!("  heard {} bursts", some.len());
            all.extend(some);
            pressed += 1;
        }
        if pressed == 0 {
            bail!("no button was pressed");
        }
        self.conclude(all).await
    }

    async fn one(&self, stream: &mut Stream, label: Label) -> anyhow::Result<Vec<Burst>> {
        let name = label_name(label);
        let heard = match self.seconds {
            Some(seconds) => {
                eprintln!("press {name} {} times, a second apart: {seconds} seconds", self.presses);
                listen(stream, after(seconds)).await?
            }
            None => {
                let what = format!("press {name} {} times, a second apart, then Enter ", self.presses);
                let done = async {
                    if let Err(error) = ask(what).await {
                        tracing::warn!("standard input cannot be read: {error:#}");
                    }
                };
                listen(stream, done).await?
            }
        };
        Ok(bursts(&heard, label, GAP))
    }

    async fn conclude(self, all: Vec<Burst>) -> anyhow::Result<()> {
        let circumstances = Circumstances {
            title: format!("{} ({} baud)", self.name, self.baud),
            name: self.name,
            baud: self.baud,
            presses: usize::from(self.presses),
        };
        let draft = tokio::task::spawn_blocking(move || propose(&all, &circumstances)).await??;
        for finding in &draft.findings {
            eprintln!("found: {}", in_words(finding));
        }
        match &self.out {
            Some(out) => {
                std::fs::write(out, &draft.toml).with_context(|| out.display().to_string())?;
                println!("{}: a draft with {} tests, which pass", out.display(), draft.profile.tests());
            }
            None => print!("{}", draft.toml),
        }
        Ok(())
    }
}

fn in_words(finding: &Finding) -> String {
    match finding {
        Finding::FixedLength { bytes } => format!("every press is {bytes} bytes"),
        Finding::LengthField { offset, width, add, repeat_at } => {
            let again = repeat_at.map_or(String::new(), |at| format!(", and again at {at}"));
            format!("the length stands at byte {offset} ({width} wide){again}; the frame is {add} longer")
        }
        Finding::EndsByTail => "presses differ in length and end alike".to_owned(),
        Finding::EndsBySilence => "presses differ in length and end by a silence".to_owned(),
        Finding::Checksum { kind, from, to, at } => {
            format!("a {kind} over bytes {from} to {to} stands at {at}")
        }
        Finding::NoChecksum => "no checksum: a disturbed press can be taken for another".to_owned(),
        Finding::KeyByte { offset, mask: 0xFF } => format!("byte {offset} says which button"),
        Finding::KeyByte { offset, mask } => format!("the bits {mask:02X} of byte {offset} say which button"),
        Finding::Changing { offset } => format!("byte {offset} changes by itself and is passed over"),
        Finding::Repeated { times, window_ms } => {
            format!(
                "each press is said up to {times} times; within {window_ms} ms they count as one. The device may want an answer"
            )
        }
        Finding::OtherFrames { count } => format!("{count} frames are no presses and are passed over"),
        Finding::AddressUnknown => {
            "which byte is the address cannot be told from one device; for several on one line write it in"
                .to_owned()
        }
    }
}
