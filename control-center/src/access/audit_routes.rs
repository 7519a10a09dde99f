//! `/audit`: the log searched, what stands of it, and the same as CSV. It is one chain for the whole centre, so only an
//! administrator of the root reads it.

use axum::{Json, extract::State, response::Response};
use control_protocol::UtcMillis;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Action, Person,
    audit::{self, AuditRow, Wanted},
    may_everywhere,
};
use crate::{
    Centre, params,
    sheets::{Form, TongueAsked, Value},
    site::{
        export::{Kind, ListFile},
        extract::Asked,
        list::{Order, Page, View},
        problem::Problem,
    },
    store::{Sql, StoreError},
};

pub(super) fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(state)).routes(routes!(export))
}

/// What of the audit log is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditAsked {
    /// By this person.
    who: Option<String>,
    /// This action, such as `replay.clip`; one that ends with a dot means all that begin so.
    action: Option<String>,
    /// To this object: an id.
    object: Option<String>,
    /// From this address.
    address: Option<String>,
    /// At or after this time.
    #[param(value_type = Option<String>)]
    from: Option<UtcMillis>,
    /// Before this time.
    #[param(value_type = Option<String>)]
    to: Option<UtcMillis>,
}

impl AuditAsked {
    fn wanted(self) -> Wanted {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Wanted {
            who: given(self.who),
            action: given(self.action),
            object: given(self.object),
            address: given(self.address),
            from: self.from,
            to: self.to,
        }
    }
}

/// The audit log, newest first unless sorted by `n who action object`.
#[utoipa::path(get, path = "/audit", tag = "access", params(AuditAsked, View),
    responses((status = 200, body = Page<AuditRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<AuditAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<AuditRow>>, Problem> {
    may_everywhere(&person, Action::ReadAudit)?;
    let order = audit::SORTS.order(&view)?;
    let wanted = asked.wanted();
    Ok(Json(centre.store.read(move |sql| audit::page(sql, &wanted, &order)).await?))
}

/// How the audit log stands.
#[derive(Debug, Serialize, ToSchema)]
struct AuditState {
    /// Its rows.
    rows: i64,
    /// The newest row's hash, hexadecimal.
    hash: Option<String>,
    /// The row of the newest checkpoint.
    signed: Option<i64>,
    /// When that was.
    #[schema(value_type = Option<String>)]
    signed_at: Option<UtcMillis>,
    /// The public key that signed it, hexadecimal.
    key: Option<String>,
    /// What was done: every action that is in the log.
    actions: Vec<String>,
}

/// How the audit log stands: its end, its newest signed checkpoint, and which actions it has.
#[utoipa::path(get, path = "/audit/state", tag = "access",
    responses((status = 200, body = AuditState), (status = 403, body = Problem)))]
async fn state(State(centre): State<Centre>, person: Person) -> Result<Json<AuditState>, Problem> {
    may_everywhere(&person, Action::ReadAudit)?;
    let state = centre
        .store
        .read(|sql| {
            let end = audit::end(sql)?;
            let checkpoint =
                sql.query_one("SELECT n, at, key FROM audit_checkpoints ORDER BY n DESC LIMIT 1", params![])?;
            let (mut signed, mut signed_at, mut key) = (None, None, None);
            if let Some(row) = &checkpoint {
                (signed, signed_at) = (Some(row.get(0)?), Some(row.get(1)?));
                key = Some(HEXLOWER.encode(&row.get::<Vec<u8>>(2)?));
            }
            Ok::<_, StoreError>(AuditState {
                rows: end.map_or(0, |(n, _)| n),
                hash: end.map(|(_, hash)| hash.to_string()),
                signed,
                signed_at,
                key,
                actions: actions(sql)?,
            })
        })
        .await?;
    Ok(Json(state))
}

/// Each action once, by leaps over the index: the log may have millions of rows and has some fifty actions.
fn actions(sql: &mut dyn Sql) -> Result<Vec<String>, StoreError> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let last = found.last().cloned().unwrap_or_default();
        let next = sql.query_one("SELECT MIN(action) FROM audit WHERE action > $1", params![last])?;
        match next.map_or(Ok(None), |row| row.get::<Option<String>>(0))? {
            Some(action) => found.push(action),
            None => return Ok(found),
        }
    }
}

const LOG: Kind = Kind {
    action: "audit.exported",
    title: ("审计日志", "Audit log"),
    columns: &[
        ("序号", "n"),
        ("时间（UTC）", "at"),
        ("人员", "who"),
        ("操作", "action"),
        ("对象", "object"),
        ("地址", "address"),
        ("详情", "detail"),
    ],
};

/// The audit log as CSV, with the same filters and order; taking it is itself in the log.
#[utoipa::path(get, path = "/audit/export.csv", tag = "access", params(AuditAsked, View, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn export(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<AuditAsked>,
    Asked(view): Asked<View>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    may_everywhere(&person, Action::ReadAudit)?;
    let order = audit::SORTS.order(&view)?;
    let wanted = asked.wanted();
    let told = serde_json::json!({
        "who": wanted.who, "action": wanted.action, "object": wanted.object, "address": wanted.address,
        "from": wanted.from, "to": wanted.to
    });
    let file = ListFile::begin(&centre, &person, &LOG, (Form::Csv, lang), told.to_string()).await?;
    let page = move |sql: &mut dyn Sql, order: &Order| audit::page(sql, &wanted, order);
    let cells = |row: AuditRow| {
        vec![
            Value::Count(row.n),
            // To the millisecond, as the chain has it.
            Value::Text(row.at.to_string()),
            Value::Text(row.who),
            Value::Text(row.action),
            Value::Text(row.object),
            Value::Text(row.address),
            Value::Text(row.detail),
        ]
    };
    file.of_list(&order, page, cells).await
}
