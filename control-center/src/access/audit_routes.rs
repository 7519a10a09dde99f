//! `/audit`: the log searched, what stands of it, and the same as CSV. It is one chain for the whole centre, so only an
//! administrator of the root reads it.

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use control_protocol::UtcMillis;
use data_encoding::HEXLOWER;
use futures_util::stream;
use http::header;
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
    site::{
        extract::Asked,
        list::{Page, limit},
        problem::Problem,
    },
    store::{Sql, StoreError},
};

/// Rows read at a time for the export.
const AT_ONCE: usize = 1000;

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
    /// A page's `next`.
    after: Option<i64>,
    /// The most rows.
    limit: Option<usize>,
}

impl AuditAsked {
    fn wanted(self) -> Wanted {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Wanted {
            before: self.after,
            who: given(self.who),
            action: given(self.action),
            object: given(self.object),
            address: given(self.address),
            from: self.from,
            to: self.to,
        }
    }
}

/// The audit log, newest first.
#[utoipa::path(get, path = "/audit", tag = "access", params(AuditAsked),
    responses((status = 200, body = Page<AuditRow>), (status = 403, body = Problem)))]
async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<AuditAsked>,
) -> Result<Json<Page<AuditRow>>, Problem> {
    may_everywhere(&person, Action::ReadAudit)?;
    let most = limit(asked.limit);
    let wanted = asked.wanted();
    let rows = centre.store.read(move |sql| audit::list(sql, &wanted, most + 1)).await?;
    Ok(Json(Page::cut(rows, most, |row| row.n.to_string())))
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

/// A cell of a CSV: quoted where it must be, and never a formula of whoever opens it in a spreadsheet.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r', '\'']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// The audit log as CSV (UTF-8 with a byte order mark), newest first; taking it is itself in the log.
#[utoipa::path(get, path = "/audit/export.csv", tag = "access", params(AuditAsked),
    responses((status = 200, description = "the rows, `text/csv`", content_type = "text/csv"), (status = 403, body = Problem)))]
async fn export(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<AuditAsked>,
) -> Result<Response, Problem> {
    may_everywhere(&person, Action::ReadAudit)?;
    let wanted = asked.wanted();
    let now = centre.clock.now();
    let told = serde_json::json!({
        "who": wanted.who, "action": wanted.action, "object": wanted.object, "address": wanted.address,
        "from": wanted.from, "to": wanted.to
    });
    centre
        .store
        .write("audit export", move |tx| {
            audit::audit(tx, &person, "audit.exported", "", &told.to_string(), now)
        })
        .await?;
    let head = "\u{feff}n,at,who,action,object,address,detail\r\n".to_owned();
    let rows = stream::try_unfold((centre, Some(wanted), Some(head)), |(centre, wanted, head)| async move {
        if let Some(head) = head {
            return Ok::<_, StoreError>(Some((head, (centre, wanted, None))));
        }
        let Some(mut wanted) = wanted else { return Ok(None) };
        let asked = wanted.clone();
        let rows = centre.store.read(move |sql| audit::list(sql, &asked, AT_ONCE)).await?;
        let mut text = String::new();
        for row in &rows {
            let cells =
                [&row.who, &row.action, &row.object, &row.address, &row.detail].map(|text| cell(text));
            text.push_str(&format!("{},{},{}\r\n", row.n, row.at, cells.join(",")));
        }
        wanted.before = rows.last().map(|row| row.n);
        let next = (rows.len() == AT_ONCE).then_some(wanted);
        Ok(Some((text, (centre, next, None))))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"hallwatch-audit.csv\""),
    ];
    Ok((headers, Body::from_stream(rows)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_no_formula() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
    }
}
