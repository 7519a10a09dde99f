//! Holds: footage that people keep from deletion, for a reason and until an end. A hold is an order to the hall, which keeps
//! it whatever becomes of this centre; what came of it comes back as an event. Holds that a hall placed by itself (a bad
//! rating, an alarm) are listed and released the same way.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use control_protocol::{
    CameraId, CaseId, HallId, UtcMillis,
    channel::Order,
    footage::{FootageAnswer, FootageAsk, Hold, HoldKind},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{allowed, micros, millis, timeline::case_cameras};
use crate::{
    Centre,
    access::{Action, Denied, Person, Place, audit, may},
    nodes::{node_of, put_order},
    params,
    site::{
        extract::{Given, Named},
        list::Page,
        problem::Problem,
    },
    store::{Row, Sql, StoreError, new_id},
};

/// How long the order waits for a hall that is offline, milliseconds. Footage is kept for days whatever happens.
const ORDER_STANDS_MS: i64 = 30 * 86_400_000;
/// The longest stretch that one hold keeps, milliseconds.
const LONGEST_MS: i64 = 7 * 86_400_000;
/// The longest reason, characters.
const LONGEST_REASON: usize = 300;
/// The most cameras of one hold.
const MOST_CAMERAS: usize = 64;
/// Holds of the centre's own record that are listed.
const LISTED: usize = 1000;

/// A hold to be placed: of a case, or of cameras and a time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHold {
    /// The case whose footage is kept: all cameras of the windows it was at.
    #[schema(value_type = Option<String>)]
    case_id: Option<CaseId>,
    /// Cameras of the hall, where there is no case.
    #[schema(value_type = Option<Vec<String>>)]
    cameras: Option<Vec<CameraId>>,
    /// From, where there is no case.
    #[schema(value_type = Option<String>)]
    from: Option<UtcMillis>,
    /// To, where there is no case; at most seven days after `from`.
    #[schema(value_type = Option<String>)]
    to: Option<UtcMillis>,
    /// Why.
    reason: String,
    /// Its end; none: until somebody releases it.
    #[schema(value_type = Option<String>)]
    until: Option<UtcMillis>,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct HoldRow {
    /// Its name.
    id: String,
    /// `person case rating alarm`.
    kind: &'static str,
    /// `asked` of the hall, `held`, `refused` by the hall, `releasing`, `released`, `ended` by itself.
    state: &'static str,
    /// What the hall said last of it.
    why: Option<String>,
    /// Why it was placed.
    reason: String,
    /// Who placed it; none: the hall by itself.
    placed_by: Option<String>,
    /// When.
    #[schema(value_type = String)]
    placed_at: UtcMillis,
    /// The case.
    case_id: Option<String>,
    /// Cameras.
    #[schema(value_type = Vec<String>)]
    cameras: Vec<CameraId>,
    /// From.
    #[schema(value_type = String)]
    from: UtcMillis,
    /// To.
    #[schema(value_type = String)]
    to: UtcMillis,
    /// Its end; none: until it is released.
    #[schema(value_type = Option<String>)]
    until: Option<UtcMillis>,
    /// Who released it.
    released_by: Option<String>,
    /// When it was released.
    #[schema(value_type = Option<String>)]
    released_at: Option<UtcMillis>,
}

/// A hold that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HoldTaken {
    /// Its name.
    id: String,
    /// Until when the order waits for the hall.
    #[schema(value_type = String)]
    expires_at: UtcMillis,
}

fn state_of(text: &str) -> &'static str {
    ["asked", "held", "refused", "releasing", "released"]
        .into_iter()
        .find(|state| *state == text)
        .unwrap_or("asked")
}

const COLUMNS: &str = "SELECT id, kind, state, why, reason, placed_by, placed_at, case_id, cameras, from_at, to_at, until_at, \
     released_by, released_at FROM recording_holds";

fn read(row: &Row) -> Result<HoldRow, StoreError> {
    let (kind, state, cameras): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(8)?);
    Ok(HoldRow {
        id: row.get(0)?,
        kind: HoldKind::of(&kind).unwrap_or(HoldKind::Person).as_str(),
        state: state_of(&state),
        why: row.get(3)?,
        reason: row.get(4)?,
        placed_by: Some(row.get::<String>(5)?).filter(|who| !who.is_empty()),
        placed_at: row.get(6)?,
        case_id: row.get(7)?,
        cameras: serde_json::from_str(&cameras).map_err(|error| StoreError::Read(error.to_string()))?,
        from: row.get(9)?,
        to: row.get(10)?,
        until: row.get(11)?,
        released_by: row.get(12)?,
        released_at: row.get(13)?,
    })
}

/// A hold as the hall has it.
fn of_hall(hold: Hold) -> HoldRow {
    HoldRow {
        id: hold.id,
        kind: hold.kind.as_str(),
        state: if hold.released_us.is_some() { "released" } else { "held" },
        why: None,
        reason: hold.reason,
        placed_by: hold.placed_by,
        placed_at: millis(hold.placed_us),
        case_id: hold.case,
        cameras: hold.cameras,
        from: millis(hold.from_us),
        to: millis(hold.to_us),
        until: hold.until_us.map(millis),
        released_by: None,
        released_at: hold.released_us.map(millis),
    }
}

/// The centre's rows with what the hall says put over them; newest first.
fn merged(own: Vec<HoldRow>, halls: Vec<Hold>, now: UtcMillis) -> Vec<HoldRow> {
    let mut rows: BTreeMap<String, HoldRow> = own.into_iter().map(|row| (row.id.clone(), row)).collect();
    for hold in halls {
        let found = of_hall(hold);
        match rows.get_mut(&found.id) {
            Some(row) => {
                // What the hall has is so; that its release is under way only the centre knows.
                if row.state != "releasing" || found.state == "released" {
                    row.state = found.state;
                }
                row.released_at = found.released_at;
            }
            None => {
                rows.insert(found.id.clone(), found);
            }
        }
    }
    let mut rows: Vec<HoldRow> = rows.into_values().collect();
    for row in &mut rows {
        if row.state == "held" && row.until.is_some_and(|until| until <= now) {
            row.state = "ended";
        }
    }
    rows.sort_by(|a, b| (b.placed_at, &b.id).cmp(&(a.placed_at, &a.id)));
    rows
}

fn may_in(sql: &mut dyn Sql, person: &Person, action: Action, hall: &HallId) -> Result<(), Problem> {
    let place = Place::of_hall(sql, hall)?.ok_or(Denied::Outside)?;
    Ok(may(person, action, &place)?)
}

/// Holds of a hall, newest first: those placed here, and while the hall is connected those it placed by itself.
#[utoipa::path(get, path = "/halls/{hall}/recording-holds", tag = "recordings",
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 200, body = Page<HoldRow>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
) -> Result<Json<Page<HoldRow>>, Problem> {
    let of = hall.clone();
    let own = centre
        .store
        .read(move |sql| {
            may_in(sql, &person, Action::Replay, &of)?;
            let statement = format!("{COLUMNS} WHERE hall = $1 ORDER BY placed_at DESC, id LIMIT $2");
            let rows = sql.query(&statement, params![of, LISTED])?;
            rows.iter().map(read).collect::<Result<Vec<_>, _>>().map_err(Problem::from)
        })
        .await?;
    let answer = centre.nodes.footage(&hall, FootageAsk::Holds {}).await.map(|delivery| delivery.answer);
    let halls = match answer {
        Ok(FootageAnswer::Holds { holds }) => holds,
        // Without the hall there is what the centre knows.
        _ => Vec::new(),
    };
    Ok(Json(Page::whole(merged(own, halls, centre.clock.now()))))
}

fn checked(new: &NewHold, now: UtcMillis) -> Result<(), Problem> {
    let reason = new.reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        return Err(Problem::unprocessable(format!(
            "reason: say why, in at most {LONGEST_REASON} characters"
        )));
    }
    if new.until.is_some_and(|until| until <= now) {
        return Err(Problem::unprocessable("until: a time to come, or none"));
    }
    let whole = new.case_id.is_some();
    if whole == (new.cameras.is_some() && new.from.is_some() && new.to.is_some()) {
        return Err(Problem::unprocessable("give a case_id, or cameras with from and to"));
    }
    if whole && (new.cameras.is_some() || new.from.is_some() || new.to.is_some()) {
        return Err(Problem::unprocessable(
            "with a case_id its own cameras and times are held: leave out cameras, from and to",
        ));
    }
    if let (Some(from), Some(to)) = (new.from, new.to)
        && (from >= to || to.0 - from.0 > LONGEST_MS)
    {
        return Err(Problem::unprocessable("from lies before to, at most seven days"));
    }
    Ok(())
}

/// The cameras and the time that are held.
fn what(
    sql: &mut dyn Sql,
    person: &Person,
    hall: &HallId,
    new: &NewHold,
    now: UtcMillis,
) -> Result<(Vec<CameraId>, UtcMillis, UtcMillis), Problem> {
    if let Some(case) = new.case_id {
        let looking = case_cameras(sql, person, case, now)?.cameras;
        let from = looking.iter().map(|camera| camera.wanted.from).min();
        let to = looking.iter().map(|camera| camera.wanted.to).max();
        let (Some(from), Some(to)) = (from, to) else {
            return Err(Problem::conflict("no camera has looked at this case: there is nothing to hold"));
        };
        if looking.iter().any(|camera| camera.wanted.hall != *hall) {
            return Err(Denied::Outside.into());
        }
        return Ok((looking.into_iter().map(|camera| camera.wanted.camera).collect(), from, to));
    }
    let cameras = new.cameras.clone().unwrap_or_default();
    if cameras.is_empty() || cameras.len() > MOST_CAMERAS {
        return Err(Problem::unprocessable(format!("cameras: from one to {MOST_CAMERAS}")));
    }
    for camera in &cameras {
        if allowed(sql, person, camera, Action::HoldFootage)? != *hall {
            return Err(Denied::Outside.into());
        }
    }
    let (Some(from), Some(to)) = (new.from, new.to) else {
        return Err(Problem::unprocessable("give a case_id, or cameras with from and to"));
    };
    Ok((cameras, from, to))
}

/// Holds footage of a hall: of a case, or of cameras and a time. The hall does it when it has the order, at once where it is
/// connected; the list says what came of it.
#[utoipa::path(post, path = "/halls/{hall}/recording-holds", tag = "recordings", request_body = NewHold,
    params(("hall" = String, Path, description = "hall id")),
    responses((status = 202, body = HoldTaken), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn place(
    State(centre): State<Centre>,
    person: Person,
    Named(hall): Named<HallId>,
    Given(new): Given<NewHold>,
) -> Result<(StatusCode, Json<HoldTaken>), Problem> {
    let now = centre.clock.now();
    let id = new_id("hold")?;
    let expires_at = now.plus(ORDER_STANDS_MS);
    let name = id.clone();
    let node = centre
        .store
        .write("hold", move |tx| {
            may_in(tx.sql, &person, Action::HoldFootage, &hall)?;
            checked(&new, now)?;
            let (cameras, from, to) = what(tx.sql, &person, &hall, &new, now)?;
            let node = node_of(tx.sql, &hall)?
                .ok_or_else(|| Problem::conflict("this hall has no edge agent: pair one first"))?;
            let kind = if new.case_id.is_some() { HoldKind::Case } else { HoldKind::Person };
            let reason = new.reason.trim().to_owned();
            let hold = Hold {
                id: name.clone(),
                kind,
                reason: reason.clone(),
                placed_by: Some(person.name.to_string()),
                case: new.case_id.map(|case| case.to_string()),
                cameras,
                from_us: micros(from),
                to_us: micros(to),
                placed_us: micros(now),
                until_us: new.until.map(micros),
                released_us: None,
            };
            let ids = serde_json::to_string(&hold.cameras).map_err(|error| StoreError::Read(error.to_string()))?;
            let order = Order::HoldFootage { hold };
            let command = put_order(tx.sql, &node, &order, &person.name, (now, expires_at))?;
            tx.sql.execute(
                "INSERT INTO recording_holds (id, hall, kind, reason, case_id, cameras, from_at, to_at, until_at, placed_by, \
                 placed_at, command, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'asked')",
                params![name, hall, kind.as_str(), reason, new.case_id, ids, from, to, new.until, &*person.name, now, command],
            )?;
            let detail = format!("{name}, {ids}, {from} to {to}: {reason}");
            audit::audit(tx.sql, &person, "recording.held", hall.as_str(), &detail, now)?;
            Ok::<_, Problem>(node)
        })
        .await?;
    centre.nodes.ring(&node);
    Ok((StatusCode::ACCEPTED, Json(HoldTaken { id, expires_at })))
}

/// Releases a hold, also one that the hall placed by itself: its footage is then deleted when it is old. The list says
/// what came of it.
#[utoipa::path(delete, path = "/halls/{hall}/recording-holds/{id}", tag = "recordings",
    params(("hall" = String, Path, description = "hall id"), ("id" = String, Path, description = "the hold's name")),
    responses((status = 202, body = HoldTaken), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn release(
    State(centre): State<Centre>,
    person: Person,
    Named((hall, id)): Named<(HallId, String)>,
) -> Result<(StatusCode, Json<HoldTaken>), Problem> {
    let now = centre.clock.now();
    let expires_at = now.plus(ORDER_STANDS_MS);
    let (of, asker) = (hall.clone(), person.clone());
    centre.store.read(move |sql| may_in(sql, &asker, Action::HoldFootage, &of)).await?;
    let known = centre.nodes.footage(&hall, FootageAsk::Holds {}).await.map(|delivery| delivery.answer);
    let placed = match known {
        Ok(FootageAnswer::Holds { holds }) => holds.into_iter().find(|hold| hold.id == id),
        _ => None,
    };
    let name = id.clone();
    let node = centre
        .store
        .write("hold released", move |tx| {
            may_in(tx.sql, &person, Action::HoldFootage, &hall)?;
            let own = tx.sql.query_one("SELECT state FROM recording_holds WHERE id = $1 AND hall = $2", params![name, hall])?;
            let state: Option<String> = own.map(|row| row.get(0)).transpose()?;
            let stands = match &state {
                Some(state) => matches!(state.as_str(), "asked" | "held"),
                None => placed.as_ref().is_some_and(|hold| hold.released_us.is_none()),
            };
            if state.is_none() && placed.is_none() {
                return Err(Problem::not_found("there is no such hold, or its hall is offline: holds that a hall placed by itself can be released while it is connected"));
            }
            if !stands {
                return Err(Problem::conflict("this hold does not stand any more, or its release is under way"));
            }
            let node = node_of(tx.sql, &hall)?
                .ok_or_else(|| Problem::conflict("this hall has no edge agent: pair one first"))?;
            let order = Order::ReleaseFootage { hold: name.clone() };
            let command = put_order(tx.sql, &node, &order, &person.name, (now, expires_at))?;
            if state.is_some() {
                tx.sql.execute(
                    "UPDATE recording_holds SET state = 'releasing', released_by = $2, release_command = $3 WHERE id = $1",
                    params![name, &*person.name, command],
                )?;
            } else if let Some(hold) = &placed {
                let ids = serde_json::to_string(&hold.cameras).map_err(|error| StoreError::Read(error.to_string()))?;
                tx.sql.execute(
                    "INSERT INTO recording_holds (id, hall, kind, reason, case_id, cameras, from_at, to_at, until_at, placed_by, \
                     placed_at, command, state, released_by, release_command) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, '', 'releasing', $11, $12)",
                    params![
                        name, hall, hold.kind.as_str(), hold.reason, hold.case, ids, millis(hold.from_us), millis(hold.to_us),
                        hold.until_us.map(millis), millis(hold.placed_us), &*person.name, command
                    ],
                )?;
            }
            audit::audit(tx.sql, &person, "recording.released", hall.as_str(), &name, now)?;
            Ok::<_, Problem>(node)
        })
        .await?;
    centre.nodes.ring(&node);
    Ok((StatusCode::ACCEPTED, Json(HoldTaken { id, expires_at })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(id: &str, until_us: Option<i64>, released_us: Option<i64>) -> Hold {
        Hold {
            id: id.into(),
            kind: HoldKind::Rating,
            reason: "rated 1".into(),
            placed_by: None,
            case: None,
            cameras: Vec::new(),
            from_us: 0,
            to_us: 1,
            placed_us: 5_000,
            until_us,
            released_us,
        }
    }

    #[test]
    fn what_the_hall_says_goes_over_what_the_centre_has() {
        let own =
            |id: &str, state| HoldRow { state, placed_by: Some("a".into()), ..of_hall(hold(id, None, None)) };
        let own = vec![own("a", "asked"), own("b", "releasing"), own("c", "releasing"), own("d", "asked")];
        let halls = vec![
            hold("a", None, None),
            hold("b", None, None),
            hold("c", None, Some(9)),
            hold("e", Some(7_000), None),
        ];
        let rows = merged(own, halls, UtcMillis(7));
        let states: Vec<(&str, &str)> = rows.iter().map(|row| (&row.id[..], row.state)).collect();
        assert_eq!(
            states,
            [("e", "ended"), ("d", "asked"), ("c", "released"), ("b", "releasing"), ("a", "held")]
        );
        assert_eq!((rows[4].placed_by.as_deref(), rows[0].placed_by.as_deref()), (Some("a"), None));
    }
}
