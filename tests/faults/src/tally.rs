//! What a scenario counted, and the one line that says it.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Counts of one scenario, or of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Frames answered and not on record.
    pub(crate) lost: u64,
    /// On record more than once.
    pub(crate) doubled: u64,
    /// On record and sent by nobody, or with another content.
    pub(crate) invented: u64,
    /// Holes in the numbering of an epoch that nothing reports.
    pub(crate) gaps: u64,
    /// Everything else, by name.
    pub(crate) counts: BTreeMap<String, u64>,
    /// How long fresh events took after each fault, seconds.
    pub(crate) fresh: Vec<f64>,
}

impl Tally {
    /// Counts `by` more of `name`.
    pub(crate) fn add(&mut self, name: &str, by: u64) {
        *self.counts.entry(name.to_owned()).or_default() += by;
    }

    /// A fresh event took so long.
    pub(crate) fn took(&mut self, time: Duration) {
        self.fresh.push(time.as_secs_f64());
    }

    /// Takes another's counts in.
    pub(crate) fn join(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.invented += other.invented;
        self.gaps += other.gaps;
        for (name, count) in other.counts {
            self.add(&name, count);
        }
        self.fresh.extend(other.fresh);
    }

    /// Nothing is lost, doubled or invented, and no number is missing.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.invented + self.gaps == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lost={} doubled={}", self.lost, self.doubled)?;
        let first = ["kills", "power_cuts", "full_disks", "partitions", "batches"];
        let named = first.iter().filter_map(|name| self.counts.get_key_value(*name));
        let others = self.counts.iter().filter(|(name, _)| !first.contains(&name.as_str()));
        for (name, count) in named.chain(others) {
            write!(f, " {name}={count}")?;
        }
        write!(f, " invented={} gaps={}", self.invented, self.gaps)?;
        let mut fresh = self.fresh.clone();
        fresh.sort_by(f64::total_cmp);
        if let (Some(median), Some(worst)) = (fresh.get(fresh.len() / 2), fresh.last()) {
            write!(f, " fresh_p50={median:.1}s fresh_max={worst:.1}s")?;
        }
        Ok(())
    }
}
