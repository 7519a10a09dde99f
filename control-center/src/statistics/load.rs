//! The sums that every figure of the service comes from, and the figures. Sums are whole numbers and are added and
//! subtracted exactly; a figure is worked out only when it is shown. Definitions: docs/reference/statistics.md.

use std::{ops, sync::LazyLock};

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::{Param, Row, StoreError};

/// The upper ends of the classes of waiting times, in minutes; one more class holds what is longer.
pub const WAIT_EDGES: [i64; 22] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 35, 40, 45, 60, 75, 90, 120];
/// The number of classes of waiting times.
pub const WAIT_CLASSES: usize = WAIT_EDGES.len() + 1;
const MINUTE: i64 = 60_000;

macro_rules! sums {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Sums of what happened, to be added to one another. Times are milliseconds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
        pub struct Load {
            $($(#[$doc])* pub $name: i64,)*
            /// Waits by class: the first holds those of at most a minute ([`WAIT_EDGES`]).
            pub waits_by: [i64; WAIT_CLASSES],
        }

        const NAMES: &[&str] = &[$(stringify!($name)),*];
        const PLAIN: usize = NAMES.len();

        impl Load {
            /// Every sum, in the order of the columns.
            fn values(&self) -> [i64; PLAIN + WAIT_CLASSES] {
                let mut values = [0; PLAIN + WAIT_CLASSES];
                let plain = [$(self.$name),*];
                values[..PLAIN].copy_from_slice(&plain);
                values[PLAIN..].copy_from_slice(&self.waits_by);
                values
            }

            fn each(&mut self, mut put: impl FnMut(usize, &mut i64)) {
                let mut at = 0;
                $(put(at, &mut self.$name); at += 1;)*
                for class in &mut self.waits_by {
                    put(at, class);
                    at += 1;
                }
            }
        }
    };
}

sums! {
    /// Tickets taken.
    arrivals,
    /// Calls of a ticket, not counting repeated ones.
    calls,
    /// Calls of a ticket that was called already.
    recalls,
    /// Tickets that were sent to another window.
    transfers,
    /// Cases put on hold.
    holds,
    /// Cases whose service ended, other than by transfer or hold.
    served,
    /// Tickets whose holder the clerk said did not come (弃号).
    no_shows,
    /// Tickets that were called and passed over by the next call without a service (过号).
    skipped,
    /// Tickets that were never called before the day ended.
    unserved,
    /// Waits that are known: ticket taken to last call before the service.
    waits,
    /// Their sum.
    wait_ms,
    /// Times to reach the window that are known: last call to start of service.
    reaches,
    /// Their sum.
    reach_ms,
    /// Service times that are known and accurate.
    services,
    /// Their sum; interruptions are left out.
    service_ms,
    /// The sum of their squares, in square seconds.
    service_sq_s,
    /// Ratings of grade 1, 非常不满意.
    grade_1,
    /// Grade 2, 不满意.
    grade_2,
    /// Grade 3, 基本满意.
    grade_3,
    /// Grade 4, 满意.
    grade_4,
    /// Grade 5, 非常满意.
    grade_5,
    /// Invitations to rate that nobody answered.
    defaults,
    /// Ratings of grade 1 or 2 that belong to a case.
    bad_cases,
    /// Presses on an evaluator that nobody had asked for.
    unsolicited,
    /// Time in which windows were open, pauses included.
    open_ms,
    /// Time in which open windows paused.
    paused_ms,
    /// Time in which windows served.
    busy_ms,
}

/// The columns of every table of sums, in order.
pub(super) static COLUMNS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let classes = (0..WAIT_CLASSES).map(|class| format!("w{class}"));
    NAMES.iter().map(|name| (*name).to_owned()).chain(classes).collect()
});

impl Load {
    /// The sums as arguments of a statement.
    pub(super) fn params(&self) -> impl Iterator<Item = Param<'static>> {
        self.values().into_iter().map(Param::Int)
    }

    /// The sums in a row, from column `first` on.
    pub(super) fn read(row: &Row, first: usize) -> Result<Self, StoreError> {
        let mut load = Self::default();
        let mut failed = None;
        load.each(|at, sum| match row.get::<Option<i64>>(first + at) {
            Ok(value) => *sum = value.unwrap_or(0),
            Err(error) => failed = Some(error),
        });
        failed.map_or(Ok(load), Err)
    }

    /// Whether every sum is zero.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Adds a wait.
    pub(super) fn wait(&mut self, millis: i64) {
        self.waits += 1;
        self.wait_ms += millis;
        let class = WAIT_EDGES.iter().position(|edge| millis <= edge * MINUTE);
        self.waits_by[class.unwrap_or(WAIT_EDGES.len())] += 1;
    }

    /// Ratings given, of every grade.
    pub fn ratings(&self) -> i64 {
        self.grade_1 + self.grade_2 + self.grade_3 + self.grade_4 + self.grade_5
    }

    /// The wait that a share of 0 to 1 of the known waits does not exceed, in milliseconds, by straight line within its
    /// class; beyond the last edge that edge. None without waits.
    pub fn wait_quantile(&self, share: f64) -> Option<i64> {
        if self.waits <= 0 {
            return None;
        }
        let rank = ((share * self.waits as f64).ceil() as i64).clamp(1, self.waits);
        let mut before = 0;
        let mut from = 0;
        for (class, count) in self.waits_by.iter().enumerate() {
            let Some(edge) = WAIT_EDGES.get(class) else { break };
            let to = edge * MINUTE;
            if before + count >= rank {
                return Some(from + (to - from) * (rank - before) / count);
            }
            before += count;
            from = to;
        }
        Some(from)
    }

    /// The share of known waits of at most `minutes`, which must be one of [`WAIT_EDGES`]; 0 to 1.
    pub fn service_level(&self, minutes: i64) -> Option<f64> {
        let class = WAIT_EDGES.iter().position(|edge| *edge == minutes)?;
        let within: i64 = self.waits_by[..=class].iter().sum();
        share(within, self.waits)
    }

    /// The figures, with the service level within `minutes`.
    pub fn figures(&self, minutes: i64) -> Figures {
        let staffed = self.open_ms - self.paused_ms;
        Figures {
            arrivals: self.arrivals,
            calls: self.calls,
            recalls: self.recalls,
            transfers: self.transfers,
            served: self.served,
            no_shows: self.no_shows,
            skipped: self.skipped,
            unserved: self.unserved,
            no_show_rate: share(self.no_shows, self.arrivals),
            average_wait_s: mean(self.wait_ms, self.waits),
            p90_wait_s: self.wait_quantile(0.9).map(|millis| millis as f64 / 1000.0),
            service_level: self.service_level(minutes),
            average_reach_s: mean(self.reach_ms, self.reaches),
            average_service_s: mean(self.service_ms, self.services),
            open_s: self.open_ms / 1000,
            paused_s: self.paused_ms / 1000,
            busy_s: self.busy_ms / 1000,
            utilisation: share(self.busy_ms, staffed).map(|share| share.min(1.0)),
            ratings: self.ratings(),
            rating_defaults: self.defaults,
            bad_ratings: self.bad_cases,
        }
    }
}

fn mean(millis: i64, count: i64) -> Option<f64> {
    (count > 0).then(|| millis as f64 / count as f64 / 1000.0)
}

fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl ops::AddAssign<&Load> for Load {
    fn add_assign(&mut self, other: &Load) {
        let others = other.values();
        self.each(|at, sum| *sum += others[at]);
    }
}

impl ops::SubAssign<&Load> for Load {
    fn sub_assign(&mut self, other: &Load) {
        let others = other.values();
        self.each(|at, sum| *sum -= others[at]);
    }
}

/// Figures of the service of some place and time. What is unknown is null, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Figures {
    /// 取号量: tickets taken.
    pub arrivals: i64,
    /// 叫号量: calls, without repeated ones.
    pub calls: i64,
    /// 重呼: repeated calls.
    pub recalls: i64,
    /// 转移: tickets sent to another window.
    pub transfers: i64,
    /// 办理量: cases whose service ended.
    pub served: i64,
    /// 弃号: holders who did not come.
    pub no_shows: i64,
    /// 过号: called, and passed over by the next call.
    pub skipped: i64,
    /// Tickets never called before the day ended.
    pub unserved: i64,
    /// 弃号率: no-shows ÷ tickets taken, 0 to 1.
    pub no_show_rate: Option<f64>,
    /// 平均等候: ticket taken to last call, seconds.
    pub average_wait_s: Option<f64>,
    /// The wait that nine in ten do not exceed, seconds.
    pub p90_wait_s: Option<f64>,
    /// 服务水平: the share called within the hall's target, 0 to 1.
    pub service_level: Option<f64>,
    /// 到窗时长: last call to start of service, seconds.
    pub average_reach_s: Option<f64>,
    /// 平均办理: start to end of service without interruptions, seconds.
    pub average_service_s: Option<f64>,
    /// Time in which windows were open, seconds, pauses included.
    pub open_s: i64,
    /// 暂停时长: time in which open windows paused, seconds.
    pub paused_s: i64,
    /// Time in which windows served, seconds.
    pub busy_s: i64,
    /// 窗口利用率: served ÷ (open − paused), 0 to 1.
    pub utilisation: Option<f64>,
    /// Ratings given.
    pub ratings: i64,
    /// Invitations to rate that nobody answered.
    pub rating_defaults: i64,
    /// 差评: ratings of grade 1 or 2 that belong to a case.
    pub bad_ratings: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_come_from_the_classes() {
        let mut load = Load::default();
        assert_eq!(load.wait_quantile(0.9), None);
        // Nine waits of half a minute, one of eleven minutes.
        (0..9).for_each(|_| load.wait(30_000));
        load.wait(11 * MINUTE);
        assert_eq!(
            load.wait_quantile(0.9),
            Some(MINUTE),
            "the ninth of ten is at the end of the first class"
        );
        assert_eq!(load.wait_quantile(1.0), Some(12 * MINUTE));
        assert_eq!(load.service_level(10), Some(0.9));
        assert_eq!(load.service_level(12), Some(1.0));
        assert_eq!(load.service_level(11), None, "no class ends there");
        load.wait(3 * 3_600_000);
        assert_eq!(load.wait_quantile(1.0), Some(120 * MINUTE));
    }

    #[test]
    fn what_is_added_can_be_taken_away() {
        let mut load = Load { arrivals: 3, busy_ms: 7, ..Load::default() };
        load.wait(5);
        let other = load;
        load += &other;
        assert_eq!((load.arrivals, load.busy_ms, load.waits_by[0]), (6, 14, 2));
        load -= &other;
        load -= &other;
        assert!(load.is_zero());
        assert_eq!(COLUMNS.len(), load.values().len());
    }
}
