//! Seats and faults as rows of windows show them.

use std::collections::HashMap;

use control_protocol::{HallId, UtcMillis, WindowId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::Scope,
    nodes::Nodes,
    store::{Filter, Param, Row, Sql, StoreError, ToParam},
};

/// A seat now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SeatRow {
    /// `occupied`, `empty` or `unknown`.
    pub seat: String,
    /// Why it is unknown: `starting no_picture dark not_learnt other_light left_behind unsure`, a fault, or `hall_offline`.
    pub why: Option<String>,
    /// Since when.
    #[schema(value_type = String)]
    pub since: UtcMillis,
    /// The camera that says so.
    pub camera: String,
    /// The name of the still that shows it.
    pub still: Option<String>,
}

/// A fault of a camera's picture that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FaultRow {
    /// The camera.
    pub camera: String,
    /// `black frozen blocked out_of_focus moved`.
    pub fault: String,
    /// Since when pictures show it.
    #[schema(value_type = String)]
    pub since: UtcMillis,
    /// The name of the still that shows it.
    pub still: Option<String>,
}

/// What is seen of a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its seat, where a camera watches one.
    pub seat: Option<SeatRow>,
    /// Faults of its cameras' pictures.
    pub faults: Vec<FaultRow>,
}

/// Of several cameras that watch one seat, whoever sees somebody is believed first, and one that knows before one that
/// does not.
fn rank(seat: &SeatRow) -> u8 {
    match seat.seat.as_str() {
        "occupied" => 2,
        "empty" => 1,
        _ => 0,
    }
}

/// What is seen of these windows.
///
/// # Errors
/// The store's.
pub fn of_windows(sql: &mut dyn Sql, windows: &[WindowId]) -> Result<HashMap<WindowId, Seen>, StoreError> {
    let mut all: HashMap<WindowId, Seen> = HashMap::new();
    for some in windows.chunks(200) {
        let places: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
        let places = places.join(", ");
        let params: Vec<Param<'_>> = some.iter().map(ToParam::to_param).collect();
        let seats = format!(
            "SELECT win, seat, why, since, camera, still FROM seats WHERE win IN ({places}) ORDER BY camera"
        );
        for row in sql.query(&seats, &params)? {
            let seat = SeatRow {
                seat: row.get(1)?,
                why: row.get(2)?,
                since: row.get(3)?,
                camera: row.get(4)?,
                still: row.get(5)?,
            };
            let seen = all.entry(row.get(0)?).or_default();
            if seen.seat.as_ref().is_none_or(|known| rank(&seat) > rank(known)) {
                seen.seat = Some(seat);
            }
        }
        let faults = format!(
            "SELECT win, camera, fault, since, still FROM picture_faults WHERE ended = 0 AND win IN ({places}) \
             ORDER BY camera, fault"
        );
        for row in sql.query(&faults, &params)? {
            let fault =
                FaultRow { camera: row.get(1)?, fault: row.get(2)?, since: row.get(3)?, still: row.get(4)? };
            all.entry(row.get(0)?).or_default().faults.push(fault);
        }
    }
    Ok(all)
}

/// A fault that stands, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingFault {
    /// The hall.
    pub hall: String,
    /// The window the camera looks at.
    pub window: Option<String>,
    /// The camera.
    pub camera: String,
    /// `black frozen blocked out_of_focus moved`.
    pub fault: String,
    /// Since when pictures show it.
    pub since: UtcMillis,
}

/// The faults of pictures that stand within `scope`, by camera.
///
/// # Errors
/// The store's.
pub fn standing(
    sql: &mut dyn Sql,
    scope: &Scope,
    hall: &Option<HallId>,
) -> Result<Vec<StandingFault>, StoreError> {
    let mut filter = Filter::new();
    filter.within("h.path", scope).with("f.hall = ?", hall);
    let (statement, params) = filter.statement(
        "SELECT f.hall, f.win, f.camera, f.fault, f.since FROM picture_faults f JOIN halls h ON h.id = f.hall",
        "AND f.ended = 0 ORDER BY f.camera, f.fault",
        1_000_000,
    );
    let read = |row: &Row| {
        Ok(StandingFault {
            hall: row.get(0)?,
            window: row.get(1)?,
            camera: row.get(2)?,
            fault: row.get(3)?,
            since: row.get(4)?,
        })
    };
    sql.query(&statement, &params)?.iter().map(read).collect()
}

/// While a hall's edge is away nothing is known of its seats, whatever was said before.
pub fn unknown_while_away<'a>(
    seats: impl IntoIterator<Item = (&'a control_protocol::HallId, &'a mut Option<SeatRow>)>,
    nodes: &Nodes,
) {
    for (hall, seat) in seats {
        if let Some(seat) = seat
            && nodes.registry().of_hall(hall).is_none()
        {
            seat.seat = "unknown".into();
            seat.why = Some("hall_offline".into());
        }
    }
}
