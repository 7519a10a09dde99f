//! `control-center audit`: whether the audit log is whole, and the key that signs its checkpoints.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use control_center::{
    access::checkpoint::{self, AuditKey, Broken, Whole},
    site::serve,
};

use super::{Place, open};

#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Check that no row was changed or removed and that every checkpoint is signed; works while the centre runs. Ends with 0
    /// if the log is whole, 1 if it is not (and names the first bad place), 2 if it cannot be read.
    Verify {
        /// The key that must have signed every checkpoint: 64 hexadecimal digits, as `audit key` prints it.
        #[arg(long, value_name = "KEY")]
        trust: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Print the public key that signs checkpoints, to be kept on another machine.
    Key {
        #[command(flatten)]
        place: Place,
    },
}

/// Does it; gives the exit code.
pub(crate) async fn run(command: Audit) -> Result<ExitCode> {
    match command {
        Audit::Verify { trust, place } => match judged(trust, place).await {
            Ok(Ok(whole)) => {
                println!(
                    "the audit log is whole: {} rows, {} of them under {} signed checkpoints",
                    whole.rows, whole.signed, whole.checkpoints
                );
                for (key, count) in whole.keys {
                    println!("key {key} signed {count}");
                }
                Ok(ExitCode::SUCCESS)
            }
            Ok(Err(broken)) => {
                println!("the audit log is NOT whole: {broken}");
                Ok(ExitCode::from(1))
            }
            Err(error) => {
                eprintln!("the audit log cannot be read: {error:#}");
                Ok(ExitCode::from(2))
            }
        },
        Audit::Key { place } => {
            if !place.data.join(serve::DATABASE).exists() {
                bail!("there is no centre in {}: give its data folder with --data", place.data.display());
            }
            println!("{}", data_encoding::HEXLOWER.encode(&AuditKey::open(&place.data)?.public()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn judged(trust: Option<String>, place: Place) -> Result<Result<Whole, Broken>> {
    let trusted = trust
        .map(|text| {
            let key = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok();
            key.and_then(|key| <[u8; 32]>::try_from(key).ok())
                .context("the key is 64 hexadecimal digits: `control-center audit key` prints it")
        })
        .transpose()?;
    let store = open(place.data).await?;
    let result = store.read(move |sql| checkpoint::verify(sql, trusted)).await;
    store.close().await;
    Ok(result?)
}
