//! What processes cost: CPU time and memory, from /proc.

use std::time::Duration;

use region::process::usage_of;
use serde::Serialize;

/// Memory of some processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Footprint {
    /// Resident memory, bytes; pages that several processes share are counted for each.
    pub resident: u64,
    /// Proportional memory, bytes (PSS): a page that several share is divided among them.
    pub proportional: u64,
}

impl Footprint {
    /// The sum over `processes`; one that has ended counts nothing. Takes some milliseconds for each.
    pub fn of(processes: &[u32]) -> Self {
        let mut sum = Self::default();
        for id in processes {
            let Some(usage) = usage_of(*id) else { continue };
            sum.resident += usage.resident;
            sum.proportional += proportional(*id).unwrap_or(usage.resident);
        }
        sum
    }
}

/// CPU time so far of `processes`, user and system.
pub fn cpu_of(processes: &[u32]) -> Duration {
    processes.iter().filter_map(|id| Some(usage_of(*id)?.cpu.max(threads_cpu(*id)))).sum()
}

/// CPU time of the threads that a process has now, from /proc/<id>/task/*/schedstat: in nanoseconds, where
/// /proc/<id>/stat counts hundredths of a second but also those threads that have ended. The greater of the two is right.
fn threads_cpu(id: u32) -> Duration {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return Duration::ZERO };
    let of = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    };
    threads.filter_map(|thread| of(thread.ok()?)).sum()
}

/// `Pss:` of /proc/<id>/smaps_rollup (proc(5)), bytes.
fn proportional(id: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_footprint() {
        let mine = Footprint::of(&[std::process::id()]);
        assert!(mine.resident > 0 && mine.proportional > 0 && mine.proportional <= mine.resident * 2);
        assert!(cpu_of(&[std::process::id()]) > Duration::ZERO);
        assert_eq!(Footprint::of(&[u32::MAX]), Footprint::default());
    }
}
