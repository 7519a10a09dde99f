//! `control-center evidence`: verifying packages, on any machine, and the key they are signed with.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use clap::Subcommand;
use control_center::{
    evidence::{
        key::{EvidenceKey, Trusted},
        say::{self, Language},
        verify::verify,
    },
    site::serve,
};

use super::Place;

#[derive(Subcommand)]
pub(crate) enum Evidence {
    /// Verify a package, on any machine and with no network. Ends with 0 if it is intact (and signed by the trusted key, if
    /// one is given), 1 if it is not, 2 if it cannot be read.
    Verify {
        /// The package.
        file: PathBuf,
        /// The key of the centre that is to have signed it, its fingerprint, or a file with either.
        #[arg(long, value_name = "KEY")]
        trust: Option<String>,
        /// The language of the answer, zh-CN or en [by the environment].
        #[arg(long)]
        lang: Option<Language>,
    },
    /// Print the centre's evidence key and its fingerprint, for those who are to verify packages.
    Key {
        #[command(flatten)]
        place: Place,
    },
}

/// Does it; gives the exit code.
pub(crate) fn run(command: Evidence) -> Result<ExitCode> {
    match command {
        Evidence::Verify { file, trust, lang } => {
            let language = lang.unwrap_or_else(|| Language::of_environment(|name| std::env::var(name).ok()));
            match judged(&file, trust.as_deref(), language) {
                Ok((intact, words)) => {
                    print!("{words}");
                    Ok(if intact { ExitCode::SUCCESS } else { ExitCode::from(1) })
                }
                Err(error) => {
                    eprintln!("{}: {error}", file.display());
                    Ok(ExitCode::from(2))
                }
            }
        }
        Evidence::Key { place } => {
            if !place.data.join(serve::DATABASE).exists() {
                bail!("there is no centre in {}: give its data folder with --data", place.data.display());
            }
            let key = EvidenceKey::open(&place.data)?.public();
            println!("key         {key}\nfingerprint {}\n\n{}", say::fingerprint(&key), key.pem().trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whether a package is intact, and the verdict in words.
fn judged(file: &Path, trust: Option<&str>, language: Language) -> Result<(bool, String)> {
    let trust = trust.map(Trusted::read).transpose()?;
    let report = verify(std::fs::File::open(file)?, trust.as_ref())?;
    Ok((report.intact(), say::words(&report, language)))
}
