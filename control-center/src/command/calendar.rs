//! `control-center calendar`: signed years of the calendars.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use control_center::{
    Clock,
    attendance::{
        calendar::{CalendarYear, SignedCalendar},
        calendar_key::CalendarKey,
        calendars,
    },
    evidence::{
        key::{PublicKey, Trusted},
        say,
    },
    store::Store,
};

use super::{Place, open, record};

#[derive(Subcommand)]
pub(crate) enum Calendar {
    /// Make the key with which an office signs calendars, and print its fingerprint.
    NewKey {
        /// The file; it must not be there yet. Keep it as a seal is kept.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sign a year and print the signed file.
    Sign {
        /// The office's key.
        #[arg(long)]
        key: PathBuf,
        /// The year, JSON.
        file: PathBuf,
    },
    /// Import a signed year; works while the centre runs.
    Import {
        /// The signed file.
        file: PathBuf,
        /// The key that is to have signed it, its fingerprint, or a file with either; without it the key must be on the
        /// centre's list.
        #[arg(long, value_name = "KEY")]
        trust: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}

/// Does it.
pub(crate) async fn run(command: Calendar) -> Result<()> {
    match command {
        Calendar::NewKey { out } => {
            let key = CalendarKey::make(&out).with_context(|| out.display().to_string())?;
            println!("fingerprint {}", say::fingerprint(&key.public()));
            Ok(())
        }
        Calendar::Sign { key, file } => {
            let key = CalendarKey::open(&key).with_context(|| key.display().to_string())?;
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            println!("{}", serde_json::to_string_pretty(&key.seal(text)?)?);
            Ok(())
        }
        Calendar::Import { file, trust, place } => {
            let trust = trust.as_deref().map(Trusted::read).transpose()?;
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let signed: SignedCalendar = serde_json::from_str(&text).context("this is no signed calendar")?;
            let (year, key) = signed.open()?;
            let store = open(place.data).await?;
            let imported = import_calendar(&store, year, key, trust).await;
            store.close().await;
            imported
        }
    }
}

async fn import_calendar(
    store: &Store,
    year: CalendarYear,
    key: PublicKey,
    trust: Option<Trusted>,
) -> Result<()> {
    let listed = store.read(move |sql| calendars::trusts(sql, &key)).await?;
    if !listed && !trust.is_some_and(|trusted| trusted.is(&key)) {
        bail!(
            "signed by {}, which is not trusted here: compare it and give it with --trust",
            say::fingerprint(&key)
        );
    }
    let (object, now) = (format!("{}/{}", year.layer, year.year), Clock::system().now());
    store.write("calendar", move |tx| calendars::put_calendar(tx, &year, &key, "command line", now)).await?;
    record(store, "calendar.imported", object.clone()).await?;
    println!("{object} is imported");
    Ok(())
}
