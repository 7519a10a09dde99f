//! `/sessions`: who is signed in where. One's own, and for who may change people those of theirs; any of them can be ended.

use std::collections::HashMap;

use axum::{Json, extract::State, response::Response};
use control_protocol::UtcMillis;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Action, Denied, Person, audit, may_somewhere, routes::may_edit_grants, session};
use crate::{
    Centre, params,
    sheets::{Form, TongueAsked, Value},
    site::{
        export::{Kind, ListFile},
        extract::{Asked, Named},
        list::{Page, Sort, View, page_of},
        problem::Problem,
    },
    store::{Row, Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(csv)).routes(routes!(end))
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct SessionRow {
    /// Its name; not its token.
    id: String,
    /// Whose it is.
    user: String,
    /// Where it was opened from.
    address: String,
    /// What the browser calls itself.
    agent: String,
    /// When it was opened.
    #[schema(value_type = String)]
    created_at: UtcMillis,
    /// When it was last used, to the minute.
    #[schema(value_type = String)]
    seen_at: UtcMillis,
    /// Whether it is the one that asks.
    current: bool,
}

/// What sessions are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SessionsAsked {
    /// Those of all people whom one may change, not one's own alone.
    #[serde(default)]
    everybody: bool,
    /// Of whom, from where or by what browser: any of them holds this.
    q: Option<String>,
}

const SORTS: [Sort<SessionRow>; 5] = [
    ("user", |a, b| (&a.user, b.seen_at).cmp(&(&b.user, a.seen_at))),
    ("address", |a, b| a.address.cmp(&b.address)),
    ("agent", |a, b| a.agent.cmp(&b.agent)),
    ("opened", |a, b| a.created_at.cmp(&b.created_at)),
    ("seen", |a, b| a.seen_at.cmp(&b.seen_at)),
];

const SELECT: &str = "SELECT token_hash, user_name, address, agent, created_at, seen_at FROM sessions \
     WHERE seen_at > $1 AND created_at > $2";

fn read(row: &Row, asking: &Person) -> Result<SessionRow, StoreError> {
    let hash: Vec<u8> = row.get(0)?;
    Ok(SessionRow {
        id: session::id_of(&hash),
        user: row.get(1)?,
        address: row.get(2)?,
        agent: row.get(3)?,
        created_at: row.get(4)?,
        seen_at: row.get(5)?,
        current: hash == asking.session,
    })
}

/// Whether `person` may see and end sessions of `user`.
fn may_end(sql: &mut dyn Sql, person: &Person, user: &str) -> Result<Result<(), Denied>, StoreError> {
    if *user == *person.name {
        return Ok(Ok(()));
    }
    let grants = session::grants_of(sql, user)?;
    Ok(may_edit_grants(person, &grants))
}

impl SessionsAsked {
    /// Sessions that stand and that the person may see.
    async fn rows(self, centre: &Centre, person: Person) -> Result<Vec<SessionRow>, Problem> {
        if self.everybody {
            may_somewhere(&person, Action::EditPeople)?;
        }
        let now = centre.clock.now();
        let q = self.q.unwrap_or_default();
        let rows = centre
            .store
            .read(move |sql| {
                let rows =
                    sql.query(SELECT, params![now.plus(-session::IDLE_MS), now.plus(-session::ABSOLUTE_MS)])?;
                let mut theirs: HashMap<String, bool> = HashMap::new();
                let mut shown = Vec::new();
                for row in &rows {
                    let row = read(row, &person)?;
                    let own = *row.user == *person.name;
                    if !own && !self.everybody
                        || ![&row.user, &row.address, &row.agent].iter().any(|t| t.contains(&q))
                    {
                        continue;
                    }
                    let may = match theirs.get(&row.user) {
                        Some(may) => *may,
                        None => {
                            let may = may_end(sql, &person, &row.user)?.is_ok();
                            theirs.insert(row.user.clone(), may);
                            may
                        }
                    };
                    if may {
                        shown.push(row);
                    }
                }
                Ok::<_, StoreError>(shown)
            })
            .await?;
        Ok(rows)
    }
}

/// Sessions that stand, by person and the one used last first, unless sorted by `user address agent opened seen`.
#[utoipa::path(get, path = "/sessions", tag = "access", params(SessionsAsked, View),
    responses((status = 200, body = Page<SessionRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<SessionsAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<SessionRow>>, Problem> {
    let rows = asked.rows(&centre, person).await?;
    page_of(rows, &view, &SORTS, "user", |row| row.id.clone()).map(Json)
}

const SESSIONS: Kind = Kind {
    action: "sessions.exported",
    title: ("登录会话", "Sessions"),
    columns: &[
        ("用户", "user"),
        ("地址", "address"),
        ("浏览器", "browser"),
        ("登录时间", "opened_at"),
        ("最近使用", "seen_at"),
    ],
};

/// The sessions as CSV, with the same filters and order; taking it is itself in the audit log.
#[utoipa::path(get, path = "/sessions.csv", tag = "access", params(SessionsAsked, View, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn csv(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<SessionsAsked>,
    Asked(view): Asked<View>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    let rows = asked.rows(&centre, person.clone()).await?;
    let page = page_of(rows, &view.all(), &SORTS, "user", |row| row.id.clone())?;
    let file = ListFile::begin(&centre, &person, &SESSIONS, (Form::Csv, lang), String::new()).await?;
    let cells = |row: SessionRow| {
        vec![
            Value::Text(row.user),
            Value::Text(row.address),
            Value::Text(row.agent),
            Value::At(row.created_at),
            Value::At(row.seen_at),
        ]
    };
    file.of_rows(page.items.into_iter().map(cells).collect()).await
}

/// Ends a session: its next request is answered 401, and its wall closes within seconds.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "access",
    params(("id" = String, Path, description = "the session's id")),
    responses((status = 204), (status = 404, body = Problem)))]
async fn end(
    State(centre): State<Centre>,
    person: Person,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    let now = centre.clock.now();
    centre
        .store
        .write("session ended", move |tx| {
            let rows =
                tx.query(SELECT, params![now.plus(-session::IDLE_MS), now.plus(-session::ABSOLUTE_MS)])?;
            let mut found = None;
            for row in &rows {
                let hash: Vec<u8> = row.get(0)?;
                if session::id_of(&hash) == id {
                    found = Some((hash, row.get::<String>(1)?));
                }
            }
            let (hash, user) = found.ok_or(Denied::Outside)?;
            may_end(tx, &person, &user)??;
            tx.execute("DELETE FROM sessions WHERE token_hash = $1", params![hash])?;
            Ok::<_, Problem>(audit::audit(tx, &person, "session.ended", &user, &id, now)?)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
