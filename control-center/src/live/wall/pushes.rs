//! What is pushed to a page besides pictures: rows of windows as they change, and alarms as they come. Changes are
//! gathered for a moment; what a page cannot be told at once is read again, never queued.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use control_protocol::{HallId, WindowId};
use tokio::{sync::broadcast, time::Instant};

use super::{End, GATHER, Page, Told};
use crate::{
    access::{Action, Scope},
    queue::{self, window_rows},
    store::{Change, Filter, Sql, StoreError},
    supervision::{alarms_after, newest},
};

/// How long until it is tried again when the store does not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// The most events of one look for alarms.
const MOST_ALARMS: u32 = 50;

/// What a page is told of.
#[derive(Default)]
pub(super) struct Pushes {
    /// Open while anything is pushed.
    changes: Option<broadcast::Receiver<Change>>,
    windows: Option<Windows>,
    alarms: Option<Alarms>,
}

#[derive(Default)]
struct Windows {
    /// The windows in the person's area, with their halls.
    mine: BTreeMap<WindowId, HallId>,
    changed: HashSet<WindowId>,
    /// Everything is to be read anew.
    all: bool,
    due: Option<Instant>,
}

struct Alarms {
    /// The last event looked at.
    cursor: i64,
    due: Option<Instant>,
}

fn soon() -> Instant {
    Instant::now() + GATHER
}

impl Pushes {
    /// When something is to be pushed.
    pub(super) fn due(&self) -> Option<Instant> {
        let windows = self.windows.as_ref().and_then(|windows| windows.due);
        let alarms = self.alarms.as_ref().and_then(|alarms| alarms.due);
        windows.into_iter().chain(alarms).min()
    }

    /// The next change in the store; never, while nothing is pushed.
    pub(super) async fn next_change(&mut self) -> Result<Change, broadcast::error::RecvError> {
        match &mut self.changes {
            Some(changes) => changes.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Notes what a change means for the page.
    pub(super) fn changed(&mut self, change: Result<Change, broadcast::error::RecvError>) {
        let lagged = matches!(change, Err(broadcast::error::RecvError::Lagged(_)));
        if let Err(broadcast::error::RecvError::Closed) = change {
            *self = Self::default();
            return;
        }
        if let Some(alarms) = &mut self.alarms
            && (lagged || matches!(change, Ok(Change::Alarm(_))))
        {
            alarms.due.get_or_insert_with(soon);
        }
        let Some(windows) = &mut self.windows else { return };
        match change {
            Ok(Change::Window(window)) if windows.mine.contains_key(&window) => {
                windows.changed.insert(window);
            }
            Ok(Change::Hall(hall)) => {
                let of_hall = windows.mine.iter().filter(|(_, of)| **of == hall).map(|(id, _)| id.clone());
                windows.changed.extend(of_hall);
            }
            Ok(Change::Node(node)) => {
                // What is known of its seats depends on whether it is there.
                let hall = node.as_str().strip_prefix("hall-").unwrap_or_default();
                let of_hall = windows.mine.iter().filter(|(_, of)| of.as_str() == hall);
                windows.changed.extend(of_hall.map(|(id, _)| id.clone()));
            }
            Ok(Change::Tree) | Err(_) => windows.all = true,
            Ok(_) => {}
        }
        if windows.all || !windows.changed.is_empty() {
            windows.due.get_or_insert_with(soon);
        }
    }

    /// What the person may see has changed.
    pub(super) fn reload(&mut self) {
        if let Some(windows) = &mut self.windows {
            windows.all = true;
            windows.due.get_or_insert_with(Instant::now);
        }
    }
}

impl Page<'_> {
    /// Begins or ends pushes of alarms, from now on; `None` leaves them as they are.
    pub(super) async fn ask_alarms(&mut self, wanted: Option<bool>) -> Result<(), End> {
        match wanted {
            Some(true) if self.pushes.alarms.is_none() => {
                self.follow();
                match self.centre.store.read(newest).await {
                    Ok(cursor) => self.pushes.alarms = Some(Alarms { cursor, due: None }),
                    Err(error) => self.tell(&Told::Error(error.into())).await?,
                }
            }
            Some(false) => self.pushes.alarms = None,
            _ => {}
        }
        self.unfollow();
        Ok(())
    }

    /// Begins or ends pushes of window rows, all of them first; `None` leaves them as they are.
    pub(super) async fn ask_windows(&mut self, wanted: Option<bool>) -> Result<(), End> {
        match wanted {
            Some(true) if self.pushes.windows.is_none() => {
                self.follow();
                self.pushes.windows = Some(Windows { all: true, ..Windows::default() });
                self.push_windows().await?;
            }
            Some(false) => self.pushes.windows = None,
            _ => {}
        }
        self.unfollow();
        Ok(())
    }

    /// Before anything is read, so that nothing falls between.
    fn follow(&mut self) {
        self.pushes.changes.get_or_insert_with(|| self.centre.store.changes());
    }

    fn unfollow(&mut self) {
        if self.pushes.windows.is_none() && self.pushes.alarms.is_none() {
            self.pushes.changes = None;
        }
    }

    /// Sends whatever is due.
    pub(super) async fn push(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.pushes.windows.as_ref().and_then(|windows| windows.due)) {
            self.push_windows().await?;
        }
        if due(self.pushes.alarms.as_ref().and_then(|alarms| alarms.due)) {
            self.push_alarms().await?;
        }
        Ok(())
    }

    /// Sends the rows of the windows that changed, or of all.
    async fn push_windows(&mut self) -> Result<(), End> {
        let Some(windows) = &mut self.pushes.windows else { return Ok(()) };
        windows.due = None;
        let all = std::mem::take(&mut windows.all);
        let changed: Vec<WindowId> = windows.changed.drain().collect();
        let scope = Scope::of(&self.person, Action::SeeService);
        let read = self
            .centre
            .store
            .read(move |sql| {
                let mine = if all { Some(windows_within(sql, &scope)?) } else { None };
                let ids = mine.as_ref().map_or(changed, |mine| mine.keys().cloned().collect());
                Ok::<_, StoreError>((mine, window_rows(sql, &ids)?))
            })
            .await;
        match read {
            Ok((mine, mut rows)) => {
                queue::refresh(&mut rows, &self.centre.nodes);
                if let (Some(windows), Some(mine)) = (&mut self.pushes.windows, mine) {
                    windows.mine = mine;
                }
                self.tell(&Told::Windows(rows)).await
            }
            Err(error) => {
                tracing::warn!(%error, "window rows cannot be read; tried again soon");
                if let Some(windows) = &mut self.pushes.windows {
                    windows.all = true;
                    windows.due = Some(Instant::now() + AGAIN);
                }
                Ok(())
            }
        }
    }

    /// Sends the alarms that came since the last look.
    async fn push_alarms(&mut self) -> Result<(), End> {
        let Some(alarms) = &mut self.pushes.alarms else { return Ok(()) };
        alarms.due = None;
        let cursor = alarms.cursor;
        let (person, now) = (self.person.clone(), self.centre.clock.now());
        let read =
            self.centre.store.read(move |sql| alarms_after(sql, &person, cursor, MOST_ALARMS, now)).await;
        let Some(alarms) = &mut self.pushes.alarms else { return Ok(()) };
        match read {
            Ok((news, last)) => {
                // There may be more of them: looked for again until a look finds nothing new.
                alarms.due = (last > cursor).then(soon);
                alarms.cursor = last;
                if news.is_empty() { Ok(()) } else { self.tell(&Told::Alarms(news)).await }
            }
            Err(error) => {
                tracing::warn!(%error, "alarms cannot be read; tried again soon");
                alarms.due = Some(Instant::now() + AGAIN);
                Ok(())
            }
        }
    }
}

/// The windows within `scope`, with their halls.
fn windows_within(sql: &mut dyn Sql, scope: &Scope) -> Result<BTreeMap<WindowId, HallId>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope);
    let (statement, params) = filter.statement(
        "SELECT w.id, w.hall FROM windows w JOIN halls h ON h.id = w.hall",
        "ORDER BY w.id",
        100_000,
    );
    sql.query(&statement, &params)?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}
