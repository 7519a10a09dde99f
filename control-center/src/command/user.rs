//! `control-center user`: people and their passwords, for when nobody can sign in.

use std::io::Read;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use control_center::{
    Clock,
    access::{self, NewUser, Role},
    store::Sql,
};

use super::{Place, open, record};

#[derive(Subcommand)]
pub(crate) enum User {
    /// Add somebody, or set their role and password. The password is read from standard input.
    Add {
        /// The name they sign in with.
        name: String,
        /// administrator, supervisor, hall_manager, hr or technician.
        #[arg(long)]
        role: Role,
        /// The id of an area or a hall.
        #[arg(long)]
        scope: String,
        /// Take the password as it is, without having it changed at the first sign-in.
        #[arg(long)]
        keep_password: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Give somebody a new password, read from standard input. Their sessions end.
    SetPassword {
        /// The name they sign in with.
        name: String,
        /// Take the password as it is, without having it changed at the first sign-in.
        #[arg(long)]
        keep_password: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// A password from standard input: the first line, so that it stands in no process list and no history.
fn read_password(name: &str) -> Result<String> {
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text).context("reading the password")?;
    let password = text.lines().next().unwrap_or_default().to_owned();
    access::check_password_rules(name, &password).map_err(anyhow::Error::msg)?;
    Ok(password)
}

/// Does it.
pub(crate) async fn run(user: User) -> Result<()> {
    let now = Clock::system().now();
    match user {
        User::Add { name, role, scope, keep_password, place } => {
            let password = read_password(&name)?;
            let store = open(place.data).await?;
            let user = NewUser {
                password_hash: tokio::task::spawn_blocking(move || access::hash_password(&password))
                    .await??,
                name: name.clone(),
                must_change: !keep_password,
                grants: vec![(role, scope)],
            };
            let added = store.write("user added", move |tx| access::add_user(tx, &user, now)).await;
            let recorded = record(&store, "user.added", name).await;
            store.close().await;
            added?;
            Ok(recorded?)
        }
        User::SetPassword { name, keep_password, place } => {
            let password = read_password(&name)?;
            let hash = tokio::task::spawn_blocking(move || access::hash_password(&password)).await??;
            let store = open(place.data).await?;
            let who = name.clone();
            let found = store
                .write("password", move |tx| {
                    access::set_password(tx as &mut dyn Sql, &who, &hash, !keep_password, None)
                })
                .await;
            let recorded = record(&store, "password.set", name.clone()).await;
            store.close().await;
            if !found? {
                bail!("there is nobody called {name}");
            }
            Ok(recorded?)
        }
    }
}
