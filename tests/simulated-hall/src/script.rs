//! Runs the scripted day on the devices, one step after the other, and keeps the oracle.
//!
//! The speed factor compresses the gaps between steps and nothing else. When a step is held up (a press that is not
//! answered), those after it wait too: their gaps stay, no burst follows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::day::{Action, Day, Expectation, Plan, Step};
use crate::devices::{DeviceError, Devices, now};
use crate::oracle::{Oracle, Record};

/// A step may be late by so much before those after it are put off.
const PATIENCE: Duration = Duration::from_millis(500);
/// Pause between two scripted days, in the script's time.
const NIGHT: u64 = 5 * 60_000;
/// Orders that may wait.
pub(crate) const ORDER_QUEUE: usize = 64;

/// What is asked of the script from outside.
pub(crate) enum Order {
    /// Go on or pause.
    Run { running: bool, reply: oneshot::Sender<DayState> },
    /// Do this by hand, and write it in the log.
    Act { action: Action, reply: oneshot::Sender<Result<Record, DeviceError>> },
}

/// How far the scripted day is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DayState {
    /// Whether it goes on by itself.
    pub running: bool,
    /// Which day, from 0.
    pub day: u64,
    /// Steps done since the start, over all days.
    pub steps: u64,
    /// When the first day began.
    pub began: Option<Timestamp>,
    /// When its shift begins: a punch after it is late. True as long as nothing has held the script up before it.
    pub shift_start: Option<Timestamp>,
    /// A step is under way: a device has not been answered yet.
    pub busy: bool,
}

/// The script and its place in time.
pub(crate) struct Script {
    pub(crate) devices: Arc<Devices>,
    pub(crate) oracle: Oracle,
    pub(crate) state: Arc<Mutex<DayState>>,
    plan: Plan,
    seed: u64,
    speed: f64,
    day: Day,
    next: Option<Step>,
    /// The script's time at `since`.
    offset: f64,
    since: Instant,
    invited: HashMap<u8, Timestamp>,
}

impl Script {
    pub(crate) fn new(
        devices: Arc<Devices>,
        oracle: Oracle,
        state: Arc<Mutex<DayState>>,
        (plan, seed, speed): (Plan, u64, f64),
        past: &[Record],
    ) -> Self {
        let today = now().as_millisecond() / 86_400_000;
        // Numbers given out within the last day are not given out again.
        let mut given = HashMap::new();
        for record in past.iter().filter(|record| record.at.as_millisecond() / 86_400_000 >= today - 1) {
            if let Action::Ticket { business, number, .. } = &record.action
                && let Some(index) = plan.businesses.iter().position(|kind| kind.name == *business)
                && let Some(kind) = plan.businesses.get(index)
                && let Ok(number) = number.trim_start_matches(&kind.prefix).parse::<u32>()
            {
                let after = given.entry(index).or_insert(0);
                *after = (number + 1).saturating_sub(kind.first).max(*after);
            }
        }
        let mut day = Day::with_numbers(seed, plan.clone(), &given);
        let next = day.next();
        let (offset, since, invited) = (0.0, Instant::now(), HashMap::new());
        Self { devices, oracle, state, plan, seed, speed, day, next, offset, since, invited }
    }

    fn state(&self, change: impl FnOnce(&mut DayState)) -> DayState {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.clone()
    }

    /// Until cancelled, or until the log cannot be written.
    pub(crate) async fn run(
        mut self,
        running: bool,
        mut orders: mpsc::Receiver<Order>,
        cancel: CancellationToken,
    ) -> std::io::Result<()> {
        self.set_running(running);
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                order = orders.recv() => match order {
                    None => return Ok(()),
                    Some(Order::Run { running, reply }) => {
                        let _asker_gone = reply.send(self.set_running(running));
                    }
                    Some(Order::Act { action, reply }) => {
                        let _asker_gone = reply.send(self.act(action).await?);
                    }
                },
                () = wait_until(due) => self.step().await?,
            }
        }
    }

    fn set_running(&mut self, running: bool) -> DayState {
        let was = self.state(|_| {}).running;
        if was && !running {
            self.offset = self.script_time();
        }
        self.since = Instant::now();
        let lead = Duration::from_secs_f64(self.plan.lead as f64 / self.speed / 1000.0);
        self.state(|state| {
            state.running = running;
            if running && state.began.is_none() {
                let began = now();
                state.began = Some(began);
                state.shift_start = began.checked_add(lead).ok();
            }
        })
    }

    fn script_time(&self) -> f64 {
        self.offset + self.since.elapsed().as_secs_f64() * 1000.0 * self.speed
    }

    /// When the next step is due; `None` while paused or when no step will come.
    fn due(&self) -> Option<Instant> {
        if !self.state(|_| {}).running {
            return None;
        }
        let ahead = (self.next.as_ref()?.at as f64 - self.offset).max(0.0) / self.speed / 1000.0;
        Some(self.since + Duration::from_secs_f64(ahead))
    }

    async fn step(&mut self) -> std::io::Result<()> {
        let Some(step) = self.next.take() else { return Ok(()) };
        self.state(|state| state.busy = true);
        let performed = self.devices.perform(&step.action).await;
        self.state(|state| state.busy = false);
        match performed {
            Ok(Some(done)) => {
                self.record(step.action, Some(step.expect), done).await?;
            }
            Ok(None) => return Ok(()),
            Err(error) => tracing::error!(%error, "a scripted step cannot be done"),
        }
        let most = step.at as f64 + PATIENCE.as_secs_f64() * 1000.0 * self.speed;
        if self.script_time() > most {
            (self.offset, self.since) = (most, Instant::now());
        }
        self.next = self.day.next();
        self.state(|state| state.steps += 1);
        if self.next.is_none() {
            self.next_day(step.at);
        }
        Ok(())
    }

    fn next_day(&mut self, last: u64) {
        let day = self.state(|state| state.day += 1).day;
        tracing::info!(day, "the next scripted day begins");
        self.day = Day::with_numbers(self.seed.wrapping_add(day), self.plan.clone(), self.day.numbers());
        self.next = self.day.next();
        // The new day's time starts at zero, one night after the last step.
        self.offset = self.script_time() - last as f64 - NIGHT as f64;
        self.since = Instant::now();
    }

    async fn act(&mut self, action: Action) -> std::io::Result<Result<Record, DeviceError>> {
        match self.devices.perform(&action).await {
            Ok(Some(done)) => Ok(Ok(self.record(action, None, done).await?)),
            Ok(None) => Ok(Err(DeviceError::NoLine("any: the hall is being closed".to_owned()))),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn record(
        &mut self,
        action: Action,
        expect: Option<Expectation>,
        done: crate::devices::Done,
    ) -> std::io::Result<Record> {
        let since_invited_ms = match (&action, &expect) {
            (Action::Press { window, .. }, Some(Expectation::Ended { .. })) => {
                self.invited.insert(*window, done.acknowledged.unwrap_or(done.at));
                None
            }
            (Action::Rate { window, .. }, Some(Expectation::Rated { .. })) => {
                let invited = self.invited.remove(window);
                invited.map(|at| done.at.as_millisecond().saturating_sub(at.as_millisecond()).max(0) as u64)
            }
            _ => None,
        };
        let record = Record {
            n: 0,
            hall: String::new(),
            at: done.at,
            device_time: done.device_time,
            action,
            expect,
            acknowledged: done.acknowledged,
            since_invited_ms,
        };
        self.oracle.write(record).await
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
