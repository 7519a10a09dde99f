//! Child processes: started with their output in a file, ended with their starter (whatever ends it), and measured.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// Where the programs are: the folder of `cargo build` that this program itself was built into.
pub fn binary(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe().context("where this program is")?;
    let mut folder = me.parent();
    while let Some(candidate) = folder {
        let path = candidate.join(name);
        if path.is_file() {
            return Ok(path);
        }
        folder =
            candidate.parent().filter(|_| candidate.ends_with("deps") || candidate.ends_with("examples"));
    }
    bail!("{name} is not built beside {}: run `cargo build --workspace --bins`", me.display())
}

/// A running program.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Resident memory now, bytes.
    pub resident: u64,
}

impl Process {
    /// Starts `program` with `arguments`; what it prints is appended to `log`. It gets SIGKILL when the thread that
    /// starts it ends, so it must be started from a thread that lives as long as it should.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        log: &Path,
    ) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails with the end of its log if it has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = self.log();
            let end: Vec<&str> = log.lines().rev().take(60).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            bail!(
                "{} ended with {status}; the end of {}:\n{}",
                self.name,
                self.log.display(),
                end.join("\n")
            );
        }
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id as i32)) {
            // The process may have ended in this moment; then there is nobody to tell.
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to end, and ends it after `patience`. Gives how long it took, or an error if it had to be killed.
    pub async fn stop(&mut self, patience: Duration) -> Result<Duration> {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(status) => {
                status?;
                Ok(begun.elapsed())
            }
            Err(_) => {
                self.child.kill().await?;
                bail!("{} did not end within {patience:?} of SIGTERM and was killed", self.name)
            }
        }
    }

    /// Ends it at once, as a crash would.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("killing {}", self.name))
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self) -> Result<std::process::ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// CPU time and memory, from /proc.
    pub fn usage(&self) -> Usage {
        self.id().and_then(usage_of).unwrap_or_default()
    }
}

/// CPU time and resident memory of process `id` (proc(5): fields 14, 15 and 24 of stat).
pub fn usage_of(id: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let pages: u64 = fields.get(21)?.parse().ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Usage {
        cpu: Duration::from_micros(ticks * 1_000_000 / per_second.max(1)),
        resident: pages * rustix::param::page_size() as u64,
    })
}

/// Runs `program` to its end with `input` on its standard input; gives what it printed, or an error with it.
pub async fn run(program: &Path, arguments: &[&str], input: &str) -> Result<String> {
    use tokio::io::AsyncWriteExt;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = tokio::time::timeout(Duration::from_secs(300), child.wait_with_output())
        .await
        .context("no end in 300 s")??;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{} {} ended with {}:\n{text}", program.display(), arguments.join(" "), output.status);
    }
    Ok(text)
}

/// Polls `check` until it gives something, or fails with `what` after `limit`.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = check().await? {
            return Ok(found);
        }
        if begun.elapsed() > limit {
            bail!("no {what} within {limit:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An address on loopback that stays free while nobody listens on it: its port lies below those that the system gives to
/// outgoing connections, one of which could otherwise take the place of a centre that is down (and an agent that dials
/// it could even be connected with itself).
///
/// # Errors
/// No port of a hundred tried is free.
pub fn lasting_address() -> Result<String> {
    use std::hash::{BuildHasher, RandomState};
    for _ in 0..100 {
        let port = 12_000 + RandomState::new().hash_one(()) % 20_000;
        let address = format!("127.0.0.1:{port}");
        if std::net::TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port was found from 12000 to 31999")
}
