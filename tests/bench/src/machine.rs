//! The machine a benchmark ran on, so that a number is never without it.

use std::process::Command;

use serde::Serialize;

/// What decides about the numbers besides the programs.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Cores that may be used.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Kernel release.
    pub kernel: String,
    /// Load averages at the start: 1, 5 and 15 minutes.
    pub load: String,
    /// Programs and their versions.
    pub versions: Vec<String>,
    /// How this program was built.
    pub profile: &'static str,
    /// The command line.
    pub command: String,
}

impl Machine {
    /// This machine, now.
    pub fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_once(':').map(|(_, value)| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let memory: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        let versions = [
            ("ffmpeg", "-version"),
            ("gst-launch-1.0", "--version"),
            ("rustc", "--version"),
            ("git", "describe"),
        ]
        .into_iter()
        .filter_map(|(program, argument)| match program {
            "git" => {
                first_line(program, &["describe", "--always", "--dirty"]).map(|at| format!("hallwatch {at}"))
            }
            _ => first_line(program, &[argument]),
        })
        .collect();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            memory_mib: memory / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load(),
            versions,
            profile: if cfg!(debug_assertions) { "debug" } else { "release" },
            command: std::env::args().collect::<Vec<_>>().join(" "),
        }
    }

    /// Prints it.
    pub fn print(&self) {
        println!(
            "machine   {} cores, {}, {} MiB, Linux {}",
            self.cores, self.processor, self.memory_mib, self.kernel
        );
        println!("load      {} at the start", self.load);
        println!("versions  {}", self.versions.join("; "));
        println!("command   {} ({} build)", self.command, self.profile);
        if self.profile == "debug" {
            println!("          A DEBUG BUILD: these numbers say nothing about the product.");
        }
    }
}

/// The three load averages.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next()?.trim();
    let line = line.split(" Copyright").next().unwrap_or(line);
    output.status.success().then(|| line.to_owned())
}
