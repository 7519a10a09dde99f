//! `/users` as a list and as a file: the people whom one may change, sorted, filtered and cut by the database.

use axum::{Json, extract::State, response::Response};
use control_protocol::UtcMillis;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Action, Person, Role, Scope, may_somewhere, routes::GrantRow, session};
use crate::{
    Centre,
    sheets::{Form, TongueAsked, Value},
    site::{
        export::{Kind, ListFile},
        extract::Asked,
        list::{Columns, Order, Page, View},
        problem::Problem,
    },
    store::{Filter, Sql, StoreError},
};

/// Somebody, as an administrator sees them.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct AccountRow {
    /// The name they sign in with.
    pub name: String,
    /// Their roles.
    pub grants: Vec<GrantRow>,
    /// Whether they must still choose a password.
    pub must_change: bool,
    /// Whether they are kept out.
    pub disabled: bool,
    /// Whether they sign in with a second factor.
    pub second_factor: bool,
    /// Since when they are known.
    #[schema(value_type = String)]
    pub created_at: UtcMillis,
    /// When they last signed in.
    #[schema(value_type = Option<String>)]
    pub signed_in_at: Option<UtcMillis>,
}

/// What people are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UsersAsked {
    /// Whose name holds this.
    q: Option<String>,
    /// Who has this role.
    #[param(value_type = Option<String>)]
    role: Option<Role>,
    /// Who has a role over this very area or hall.
    scope: Option<String>,
    /// Those kept out, or those who are not.
    disabled: Option<bool>,
}

const SORTS: Columns = Columns {
    sorts: &[
        ("name", "u.name"),
        ("created", "u.created_at"),
        ("signed_in", "COALESCE(u.signed_in_at, 0)"),
        ("disabled", "u.disabled"),
        ("second_factor", "u.totp_since IS NOT NULL"),
    ],
    id: "u.name",
    usual: "name",
};
/// The path of a role's scope.
const GRANTED: &str = "SELECT 1 FROM grants g LEFT JOIN areas a ON a.id = g.scope LEFT JOIN halls h ON h.id = g.scope \
     WHERE g.user_name = u.name";

impl UsersAsked {
    /// The page of those whom somebody with `scope` may change: all of whose scopes lie within it.
    fn page(&self, sql: &mut dyn Sql, scope: &Scope, order: &Order) -> Result<Page<AccountRow>, StoreError> {
        let q = self.q.as_ref().filter(|q| !q.is_empty()).cloned();
        let role = self.role.map(|role| role.code().to_owned());
        let mut filter = Filter::new();
        filter
            .none_outside(GRANTED, "COALESCE(a.path, h.path)", scope)
            .with("INSTR(u.name, ?) > 0", &q)
            .with("u.disabled = ?", &self.disabled)
            .with("EXISTS (SELECT 1 FROM grants g WHERE g.user_name = u.name AND g.role = ?)", &role)
            .with("EXISTS (SELECT 1 FROM grants g WHERE g.user_name = u.name AND g.scope = ?)", &self.scope);
        let columns =
            "u.name, u.must_change, u.disabled, u.created_at, u.signed_in_at, u.totp_since IS NOT NULL";
        let mut page = order.page(sql, filter, columns, "users u", |row| {
            Ok(AccountRow {
                name: row.get(0)?,
                grants: Vec::new(),
                must_change: row.get(1)?,
                disabled: row.get(2)?,
                created_at: row.get(3)?,
                signed_in_at: row.get(4)?,
                second_factor: row.get(5)?,
            })
        })?;
        for account in &mut page.items {
            let grants = session::grants_of(sql, &account.name)?;
            account.grants = grants.into_iter().map(|g| GrantRow { role: g.role, scope: g.scope }).collect();
        }
        Ok(page)
    }
}

/// The people all of whose scopes lie within one's own, by name unless sorted by `name created signed_in disabled
/// second_factor`.
#[utoipa::path(get, path = "/users", tag = "access", params(UsersAsked, View),
    responses((status = 200, body = Page<AccountRow>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn list(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<UsersAsked>,
    Asked(view): Asked<View>,
) -> Result<Json<Page<AccountRow>>, Problem> {
    may_somewhere(&person, Action::EditPeople)?;
    let order = SORTS.order(&view)?;
    let read = move |sql: &mut dyn Sql| asked.page(sql, &Scope::of(&person, Action::EditPeople), &order);
    Ok(Json(centre.store.read(read).await?))
}

const USERS: Kind = Kind {
    action: "users.exported",
    title: ("用户与权限", "People and rights"),
    columns: &[
        ("用户名", "name"),
        ("角色与范围", "roles"),
        ("状态", "state"),
        ("双重验证", "second factor"),
        ("需改密码", "must change password"),
        ("建立时间", "created_at"),
        ("最近登录", "signed_in_at"),
    ],
};

/// The people as CSV, with the same filters and order; taking it is itself in the audit log.
#[utoipa::path(get, path = "/users.csv", tag = "access", params(UsersAsked, View, TongueAsked),
    responses((status = 200, description = "UTF-8 with a byte order mark", content_type = "text/csv"),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn csv(
    State(centre): State<Centre>,
    person: Person,
    Asked(asked): Asked<UsersAsked>,
    Asked(view): Asked<View>,
    Asked(TongueAsked { lang }): Asked<TongueAsked>,
) -> Result<Response, Problem> {
    may_somewhere(&person, Action::EditPeople)?;
    let order = SORTS.order(&view)?;
    let file = ListFile::begin(&centre, &person, &USERS, (Form::Csv, lang), String::new()).await?;
    let page = move |sql: &mut dyn Sql, order: &Order| {
        asked.page(sql, &Scope::of(&person, Action::EditPeople), order)
    };
    let yes_no =
        move |yes: bool| Value::Text(if yes { lang.of("是", "yes") } else { lang.of("否", "no") }.into());
    let cells = move |account: AccountRow| {
        let grants: Vec<String> = account.grants.iter().map(|g| format!("{} {}", g.role, g.scope)).collect();
        let state =
            if account.disabled { lang.of("停用", "kept out") } else { lang.of("正常", "may sign in") };
        vec![
            Value::Text(account.name),
            Value::Text(grants.join("; ")),
            Value::Text(state.into()),
            yes_no(account.second_factor),
            yes_no(account.must_change),
            Value::At(account.created_at),
            Value::known(account.signed_in_at, Value::At),
        ]
    };
    file.of_list(&order, page, cells).await
}
