//! Who may do what, where. A person holds roles, each within a scope (an area or a hall); every route asks [`may`]
//! and every list filters by [`Scope::clause`], which agree by a property test. Owns people, sessions and the audit
//! chain; never decides what a room shows.

mod accounts;
pub mod audit;
mod audit_routes;
pub mod checkpoint;
mod doorkeeper;
pub mod origin;
mod password;
mod people;
mod person;
pub(crate) mod personal;
mod routes;
mod second_factor;
mod second_factor_policy;
mod session;
mod sessions;
mod totp;

use std::{fmt, str::FromStr, sync::Arc};

use control_protocol::{HallId, WindowId};
use serde::{Deserialize, Serialize};

use crate::{
    params,
    store::{Param, Sql, StoreError, ToParam},
};

pub use doorkeeper::Doorkeeper;
pub use people::{
    BadUser, NewUser, add_user, check_password_rules, first_administrator, hash_password, set_password,
};
pub use routes::routes;
pub(crate) use session::session_name;
pub use session::{scopes_of, session_alive};

/// What a person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Areas, people, rights, nodes, audit.
    Administrator,
    /// Watches over the halls of an area.
    Supervisor,
    /// Runs one hall, or a few.
    HallManager,
    /// Punches and sheets.
    Hr,
    /// Devices and nodes.
    Technician,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Administrator, Self::Supervisor, Self::HallManager, Self::Hr, Self::Technician];

    /// The role's code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Supervisor => "supervisor",
            Self::HallManager => "hall_manager",
            Self::Hr => "hr",
            Self::Technician => "technician",
        }
    }

    /// Whether the role allows the action, within its scope.
    pub fn allows(self, action: Action) -> bool {
        use Action::*;
        match self {
            Self::Administrator => true,
            Self::Supervisor if matches!(action, ExportEvidence | SeePersonal) => true,
            Self::HallManager if matches!(action, SetThresholds | HandleRequests) => true,
            Self::Supervisor | Self::HallManager => matches!(
                action,
                SeeTree
                    | WatchLive
                    | MoveCamera
                    | SeeCameras
                    | SeeService
                    | SeePunches
                    | Replay
                    | HoldFootage
                    | BindNumbers
            ),
            Self::Hr => matches!(action, SeeTree | SeePunches | HandleRequests | KeepAttendance),
            Self::Technician => {
                matches!(
                    action,
                    SeeTree
                        | WatchLive
                        | MoveCamera
                        | SeeCameras
                        | SeeNodes
                        | PairNode
                        | PairDevices
                        | OrderNode
                )
            }
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.code() == text).ok_or_else(|| {
            format!("`{text}` is not a role: use administrator, supervisor, hall_manager, hr or technician")
        })
    }
}

/// What a person may want to do at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// See that an area, hall or window is there, and its name.
    SeeTree,
    /// Watch a live picture or a still.
    WatchLive,
    /// Move a camera that can be moved.
    MoveCamera,
    /// See cameras and whether they work.
    SeeCameras,
    /// See windows' states, tickets, cases, ratings, events and coverage.
    SeeService,
    /// Change the thresholds of a hall's queue.
    SetThresholds,
    /// See citizens' mobile and identity numbers where a record has them, for a reason that is written down.
    SeePersonal,
    /// See recorded footage and the timelines of cases.
    Replay,
    /// Keep footage from deletion, and release it.
    HoldFootage,
    /// Take a case out as a signed file, footage and all.
    ExportEvidence,
    /// Bind official numbers to cases.
    BindNumbers,
    /// See punches, staff and attendance.
    SeePunches,
    /// Ask for corrections, leave and trips, and decide what others asked.
    HandleRequests,
    /// Change staff, shifts, rosters and calendars.
    KeepAttendance,
    /// See nodes and positions.
    SeeNodes,
    /// Issue a pairing code.
    PairNode,
    /// Pair devices in a hall, and issue site passes for it.
    PairDevices,
    /// Send an order to a node.
    OrderNode,
    /// Change areas, halls, windows, staff.
    EditTree,
    /// See and change people and their roles.
    EditPeople,
    /// Revoke a node or lift a quarantine.
    EditNodes,
    /// Set up where events are sent on to.
    EditWebhooks,
    /// Read the audit log.
    ReadAudit,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 23] = [
        Self::SeeTree,
        Self::WatchLive,
        Self::MoveCamera,
        Self::SeeCameras,
        Self::SeeService,
        Self::SetThresholds,
        Self::SeePersonal,
        Self::Replay,
        Self::HoldFootage,
        Self::ExportEvidence,
        Self::BindNumbers,
        Self::SeePunches,
        Self::HandleRequests,
        Self::KeepAttendance,
        Self::SeeNodes,
        Self::PairNode,
        Self::PairDevices,
        Self::OrderNode,
        Self::EditTree,
        Self::EditPeople,
        Self::EditNodes,
        Self::EditWebhooks,
        Self::ReadAudit,
    ];
}

/// A role within a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The area's or hall's id.
    pub scope: String,
    /// Its materialised path.
    pub path: String,
}

impl Grant {
    /// Whether the scope is a root of the tree.
    pub(crate) fn is_root(&self) -> bool {
        self.path.matches('/').count() == 2
    }
}

/// Somebody who is signed in. As an extractor it refuses with 401 whoever is not, and with 403 whoever must choose a
/// new password or set up a second factor first.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name they sign in with.
    pub name: Arc<str>,
    /// What they may do, and where.
    pub grants: Arc<[Grant]>,
    /// Whether they must choose a new password before anything else.
    pub must_change: bool,
    /// Whether one of their roles must have a second factor, and they have none yet.
    pub must_have_factor: bool,
    /// Where they come from, for the audit log.
    pub address: Arc<str>,
    /// The hash of their session's token.
    session: [u8; 32],
}

/// A place in the tree: the materialised path of an area or a hall, such as `/450000/450100/450103/450103-01/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place(String);

impl Place {
    /// The place with this path.
    pub fn at(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// The place of a hall, if there is such a hall.
    pub fn of_hall(sql: &mut dyn Sql, hall: &HallId) -> Result<Option<Self>, StoreError> {
        Self::first(sql, "SELECT path FROM halls WHERE id = $1", params![hall])
    }

    /// The place of a window: its hall.
    pub fn of_window(sql: &mut dyn Sql, window: &WindowId) -> Result<Option<Self>, StoreError> {
        let statement = "SELECT h.path FROM windows w JOIN halls h ON h.id = w.hall WHERE w.id = $1";
        Self::first(sql, statement, params![window])
    }

    /// The place of an area or a hall, whichever `id` is.
    pub fn of_scope(sql: &mut dyn Sql, id: &str) -> Result<Option<Self>, StoreError> {
        let statement = "SELECT path FROM areas WHERE id = $1 UNION ALL SELECT path FROM halls WHERE id = $1";
        Self::first(sql, statement, params![id])
    }

    fn first(sql: &mut dyn Sql, statement: &str, params: &[Param<'_>]) -> Result<Option<Self>, StoreError> {
        sql.query_one(statement, params)?.map(|row| row.get(0).map(Self)).transpose()
    }
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The place is outside every scope of theirs; told as "there is no such thing", so that nothing is revealed.
    #[error("there is no such thing in your area")]
    Outside,
    /// The place is theirs, the action is not their role's.
    #[error("your role does not allow this: ask an administrator of your area")]
    Role,
}

/// Whether `person` may do `action` at `place`. The one function every route asks.
pub fn may(person: &Person, action: Action, place: &Place) -> Result<(), Denied> {
    let mut inside = false;
    for grant in person.grants.iter().filter(|grant| place.0.starts_with(&grant.path)) {
        if grant.role.allows(action) {
            return Ok(());
        }
        inside = true;
    }
    Err(if inside { Denied::Role } else { Denied::Outside })
}

/// Whether `person` may do `action` anywhere at all: for routes that then filter what they list.
pub fn may_somewhere(person: &Person, action: Action) -> Result<(), Denied> {
    if person.grants.iter().any(|grant| grant.role.allows(action)) { Ok(()) } else { Err(Denied::Role) }
}

/// Whether `person` may do `action` to the whole centre: what belongs to no area alone.
pub fn may_everywhere(person: &Person, action: Action) -> Result<(), Denied> {
    let root = person.grants.iter().any(|grant| grant.role.allows(action) && grant.is_root());
    if root { Ok(()) } else { Err(Denied::Role) }
}

/// Where a person may do an action, as one SQL predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Where `person` may do `action`.
    pub fn of(person: &Person, action: Action) -> Self {
        let mut paths: Vec<String> =
            person.grants.iter().filter(|g| g.role.allows(action)).map(|g| g.path.clone()).collect();
        paths.sort();
        paths.dedup();
        // A scope within another adds nothing.
        let outer: Vec<String> = paths
            .iter()
            .filter(|path| !paths.iter().any(|other| *other != **path && path.starts_with(other.as_str())))
            .cloned()
            .collect();
        Self(outer)
    }

    /// A place and all below it, for whoever was already found to be allowed there ([`may`]).
    pub fn at(place: &Place) -> Self {
        Self(vec![place.0.clone()])
    }

    /// Everything below a path, for tests.
    #[cfg(test)]
    pub(crate) fn below(path: &str) -> Self {
        Self(vec![path.to_owned()])
    }

    /// A condition that is true for the rows whose `path` column lies within. Its arguments are [`Self::params`],
    /// numbered from `first`.
    pub fn clause(&self, column: &str, first: usize) -> String {
        if self.0.is_empty() {
            return "(1 = 0)".into();
        }
        let any: Vec<String> =
            (0..self.0.len()).map(|at| format!("{column} LIKE ${} || '%'", first + at)).collect();
        format!("({})", any.join(" OR "))
    }

    /// The arguments of [`Self::clause`].
    pub fn params(&self) -> impl Iterator<Item = Param<'_>> {
        self.0.iter().map(ToParam::to_param)
    }

    /// Whether `path` lies within.
    pub fn holds(&self, path: &str) -> bool {
        self.0.iter().any(|scope| path.starts_with(scope))
    }

    /// Whether some of it lies at or below `path`: what is shared with the people of a place reaches those above it, who
    /// hold it, and those below it, who are reached.
    pub fn reaches_into(&self, path: &str) -> bool {
        self.0.iter().any(|scope| scope.starts_with(path))
    }
}

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod tests;
