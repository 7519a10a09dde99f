//! Rows of windows and tickets, as the API and the wall socket give them.

use std::{fmt, str::FromStr};

use control_protocol::{HallId, UtcMillis, WindowId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    nodes::Nodes,
    params,
    pictures::{self, FaultRow, SeatRow, Seen},
    store::{Param, Row, Sql, StoreError, ToParam},
};

/// What a window is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowState {
    /// Nobody is signed in.
    Closed,
    /// Open, nobody called.
    Idle,
    /// A ticket was called and its holder has not yet come.
    Called,
    /// Somebody is served.
    Serving,
    /// The service is over and a rating is invited.
    Rating,
    /// The clerk takes a break.
    Paused,
}

impl WindowState {
    /// The state's code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::Called => "called",
            Self::Serving => "serving",
            Self::Rating => "rating",
            Self::Paused => "paused",
        }
    }
}

impl fmt::Display for WindowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for WindowState {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        [Self::Closed, Self::Idle, Self::Called, Self::Serving, Self::Rating, Self::Paused]
            .into_iter()
            .find(|state| state.code() == text)
            .ok_or_else(|| StoreError::Read(format!("window state `{text}`")))
    }
}

/// A clerk, as a window shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Clerk {
    /// The number they type to sign in.
    pub number: String,
    /// Their name; the number again when the staff list does not have it.
    pub name: String,
}

/// The last grade given at a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastRating {
    /// 1 to 5, 5 = 非常满意.
    pub grade: u8,
    /// When it was pressed.
    #[schema(value_type = String)]
    pub at: UtcMillis,
}

/// A window now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WindowRow {
    /// Its id.
    #[schema(value_type = String)]
    pub id: WindowId,
    /// Its id again, under the name the wall's pushes use.
    #[schema(value_type = String)]
    pub window: WindowId,
    /// Its hall.
    #[schema(value_type = String)]
    pub hall: HallId,
    /// Its number in the hall.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: WindowState,
    /// The ticket called or served.
    pub ticket: Option<String>,
    /// That ticket's case.
    pub case_id: Option<String>,
    /// Who is signed in.
    pub clerk: Option<Clerk>,
    /// Tickets waiting that this window may call.
    pub waiting: u32,
    /// The last grade given here.
    pub last_rating: Option<LastRating>,
    /// Since when it is in this state; none if nothing has been heard of it.
    #[schema(value_type = Option<String>)]
    pub since: Option<UtcMillis>,
    /// When the last event about it happened.
    #[schema(value_type = Option<String>)]
    pub updated_at: Option<UtcMillis>,
    /// Why it is paused, where a reason was given.
    pub pause_reason: Option<String>,
    /// When the ticket that waits longest for it was taken; none if nobody waits.
    #[schema(value_type = Option<String>)]
    pub waiting_since: Option<UtcMillis>,
    /// Its seat, where a camera watches one.
    pub seat: Option<SeatRow>,
    /// Faults of its cameras' pictures that stand.
    pub picture_faults: Vec<FaultRow>,
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TicketRow {
    /// Its case.
    pub case_id: String,
    /// Its hall.
    pub hall: String,
    /// The number printed on it.
    pub ticket: String,
    /// The business it was taken for.
    pub business: Option<String>,
    /// Higher is called first.
    pub priority: u8,
    /// `waiting called serving held done no_show`.
    pub state: String,
    /// Where it was last called, or is to go after a transfer.
    pub window: Option<String>,
    /// When it was printed.
    #[schema(value_type = Option<String>)]
    pub issued_at: Option<UtcMillis>,
    /// When it was first called.
    #[schema(value_type = Option<String>)]
    pub called_at: Option<UtcMillis>,
    /// When service began.
    #[schema(value_type = Option<String>)]
    pub started_at: Option<UtcMillis>,
    /// When service ended.
    #[schema(value_type = Option<String>)]
    pub ended_at: Option<UtcMillis>,
    /// How often it was called again.
    pub recalls: u32,
}

/// `waiting` counts each ticket for every window that may call it: those sent to the window, and those of its
/// businesses that were sent nowhere; a window without businesses takes all.
macro_rules! of_waiting {
    ($what:literal) => {
        concat!(
            "(SELECT ", $what, " FROM tickets t WHERE t.hall = w.hall AND t.state = 'waiting' \
             AND CASE WHEN t.win IS NOT NULL THEN t.win = w.id \
             ELSE EXISTS (SELECT 1 FROM window_businesses b WHERE b.win = w.id AND b.business = t.business) \
             OR NOT EXISTS (SELECT 1 FROM window_businesses b WHERE b.win = w.id) END)"
        )
    };
}
const SELECT: &str = concat!(
    "SELECT w.id, w.hall, w.number, w.name, s.state, s.ticket, s.case_id, s.clerk, p.name, ",
    of_waiting!("COUNT(*)"),
    ", s.rated_grade, s.rated_at, s.since, s.at, s.pause_reason, ",
    of_waiting!("MIN(t.issued_at)"),
    " FROM windows w LEFT JOIN window_states s ON s.win = w.id \
     LEFT JOIN staff p ON p.hall = w.hall AND p.number = s.clerk"
);

fn read(row: &Row) -> Result<WindowRow, StoreError> {
    let id: WindowId = row.get(0)?;
    let state = row.get::<Option<String>>(4)?.map_or(Ok(WindowState::Closed), |state| state.parse())?;
    let clerk = row.get::<Option<String>>(7)?;
    let name = row.get::<Option<String>>(8)?;
    let grade = row.get::<Option<u8>>(10)?;
    let rated_at = row.get::<Option<UtcMillis>>(11)?;
    Ok(WindowRow {
        window: id.clone(),
        id,
        hall: row.get(1)?,
        number: row.get(2)?,
        name: row.get(3)?,
        state,
        ticket: row.get(5)?,
        case_id: row.get(6)?,
        clerk: clerk.map(|number| Clerk { name: name.unwrap_or_else(|| number.clone()), number }),
        waiting: row.get(9)?,
        last_rating: grade.zip(rated_at).map(|(grade, at)| LastRating { grade, at }),
        since: row.get(12)?,
        updated_at: row.get(13)?,
        pause_reason: row.get(14)?,
        waiting_since: row.get(15)?,
        seat: None,
        picture_faults: Vec::new(),
    })
}

/// The rows of these windows, in no order; one that is not there is left out.
pub fn window_rows(sql: &mut dyn Sql, windows: &[WindowId]) -> Result<Vec<WindowRow>, StoreError> {
    let mut rows = Vec::with_capacity(windows.len());
    for some in windows.chunks(200) {
        let places: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
        let statement = format!("{SELECT} WHERE w.id IN ({})", places.join(", "));
        let params: Vec<Param<'_>> = some.iter().map(ToParam::to_param).collect();
        for row in sql.query(&statement, &params)? {
            rows.push(read(&row)?);
        }
    }
    add_seen(sql, &mut rows)?;
    Ok(rows)
}

/// What the cameras see of the windows.
fn add_seen(sql: &mut dyn Sql, rows: &mut [WindowRow]) -> Result<(), StoreError> {
    let ids: Vec<WindowId> = rows.iter().map(|row| row.id.clone()).collect();
    let mut seen = pictures::of_windows(sql, &ids)?;
    for row in rows {
        let Seen { seat, faults } = seen.remove(&row.id).unwrap_or_default();
        (row.seat, row.picture_faults) = (seat, faults);
    }
    Ok(())
}

/// Seats of halls that are away are unknown.
pub fn refresh(rows: &mut [WindowRow], nodes: &Nodes) {
    pictures::unknown_while_away(rows.iter_mut().map(|row| (&row.hall, &mut row.seat)), nodes);
}

/// The rows of a hall's windows, by number.
pub fn hall_window_rows(sql: &mut dyn Sql, hall: &HallId) -> Result<Vec<WindowRow>, StoreError> {
    let statement = format!("{SELECT} WHERE w.hall = $1 ORDER BY w.number");
    let mut rows: Vec<WindowRow> =
        sql.query(&statement, params![hall])?.iter().map(read).collect::<Result<_, _>>()?;
    add_seen(sql, &mut rows)?;
    Ok(rows)
}

/// Who is signed in at a window now.
pub fn clerk_at(sql: &mut dyn Sql, window: &WindowId) -> Result<Option<String>, StoreError> {
    let row = sql.query_one("SELECT clerk FROM window_states WHERE win = $1", params![window])?;
    row.map_or(Ok(None), |row| row.get(0))
}
