//! Lists: `{"items":[…],"next":…}`, sorted by a column of the list's own, cut into pages of at most 500 rows unless asked
//! otherwise. Every list of the site is filtered by its room and sorted and cut here: in the database ([`Columns`]), or,
//! where the rows are few or are told apart by more than the database knows, in memory ([`page_of`]). A column is a name of
//! the room's own, never text that was sent.

use std::cmp::Ordering;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use crate::store::{Cell, Filter, Row, Sql, StoreError};

/// Rows given when no limit is asked for.
const DEFAULT_LIMIT: usize = 500;
/// The most rows of one answer.
const MAX_LIMIT: usize = 5000;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins, to be given as `after`; none when this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A list that is whole.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// A page of rows that were read with a limit of one more than `limit`; `cursor` names a row.
    pub fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// The number of rows to give for what was asked.
pub fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
}

/// In which order a list is asked for, and which part of it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct View {
    /// The column to sort by; with `-` before it, the largest first. One that the list cannot be sorted by is answered 422
    /// with those that it can.
    pub sort: Option<String>,
    /// A page's `next`, with the same conditions and order.
    pub after: Option<String>,
    /// The most rows.
    pub limit: Option<usize>,
}

impl View {
    /// The same order from the list's beginning to its end, for a file.
    pub fn all(self) -> Self {
        Self { after: None, limit: Some(usize::MAX), ..self }
    }
}

/// The column asked for, or the usual one, and whether the largest comes first.
fn chosen<'a>(view: &'a View, usual: &'a str) -> (&'a str, bool) {
    let sort = view.sort.as_deref().filter(|sort| !sort.is_empty()).unwrap_or(usual);
    sort.strip_prefix('-').map_or((sort, false), |name| (name, true))
}

fn unknown_column<'a>(names: impl Iterator<Item = &'a str>) -> Problem {
    let names: Vec<&str> = names.collect();
    Problem::unprocessable(format!("sort: {}, or one of these with - before it", names.join(", ")))
}

fn stale() -> Problem {
    Problem::bad_request(
        "after: it is not the `next` of a page of this list in this order: begin again without it",
    )
}

/// The columns that a list in the database may be sorted by.
#[derive(Debug)]
pub struct Columns {
    /// Names, each with its SQL expression, which is never NULL.
    pub sorts: &'static [(&'static str, &'static str)],
    /// What tells rows of the same value apart, in SQL; never NULL.
    pub id: &'static str,
    /// The order where none is asked for, such as `-at`.
    pub usual: &'static str,
}

impl Columns {
    /// The order that `view` asks for.
    ///
    /// # Errors
    /// 422 for a column that is none of these, 400 for a cursor that is not of this list.
    pub fn order(&self, view: &View) -> Result<Order, Problem> {
        let (name, descending) = chosen(view, self.usual);
        let found = self.sorts.iter().find(|(known, _)| *known == name);
        let (column, key) = *found.ok_or_else(|| unknown_column(self.sorts.iter().map(|(name, _)| *name)))?;
        let after = view.after.as_deref().filter(|after| !after.is_empty());
        let after = after.map(|after| Cursor::read(after).ok_or_else(stale)).transpose()?;
        Ok(Order { column, key, id: self.id, descending, after, most: limit(view.limit) })
    }
}

/// The last row of a page, as its columns name it.
#[derive(Debug, Clone, PartialEq)]
struct Cursor {
    key: Cell,
    id: Cell,
}

impl Cursor {
    fn text(&self) -> Option<String> {
        let plain = |cell: &Cell| match cell {
            Cell::Int(int) => Some(serde_json::json!(int)),
            Cell::Text(text) => Some(serde_json::json!(text)),
            Cell::Null | Cell::Blob(_) => None,
        };
        let both = serde_json::json!([plain(&self.key)?, plain(&self.id)?]);
        Some(BASE64URL_NOPAD.encode(both.to_string().as_bytes()))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let [key, id]: [serde_json::Value; 2] = serde_json::from_slice(&bytes).ok()?;
        let cell = |value: serde_json::Value| match value {
            serde_json::Value::Number(number) => number.as_i64().map(Cell::Int),
            serde_json::Value::String(text) => Some(Cell::Text(text)),
            _ => None,
        };
        Some(Self { key: cell(key)?, id: cell(id)? })
    }
}

/// In which order rows are read from the database, and which of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The column's name.
    pub column: &'static str,
    key: &'static str,
    id: &'static str,
    descending: bool,
    after: Option<Cursor>,
    most: usize,
}

impl Order {
    /// The rows of this page: `select` are their columns, `from` the tables and joins.
    ///
    /// # Errors
    /// The store's, and those of `read`.
    pub fn page<'a, T>(
        &'a self,
        sql: &mut dyn Sql,
        mut filter: Filter<'a>,
        select: &str,
        from: &str,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let Self { key, id, .. } = self;
        if let Some(after) = &self.after {
            filter.behind(key, &after.key, id, &after.id, self.descending);
        }
        let way = if self.descending { "DESC" } else { "ASC" };
        let (statement, params) = filter.statement(
            &format!("SELECT {select}, {key}, {id} FROM {from}"),
            &format!("ORDER BY {key} {way}, {id} {way}"),
            self.most + 1,
        );
        let rows = sql.query(&statement, &params)?;
        let more = rows.len() > self.most;
        let last = if more { rows.get(self.most - 1) } else { None };
        let next = last.and_then(|row| match row.cells() {
            [.., key, id] => Cursor { key: key.clone(), id: id.clone() }.text(),
            _ => None,
        });
        Ok(Page { items: rows.iter().take(self.most).map(read).collect::<Result<_, _>>()?, next })
    }

    /// The order of the part that begins at `next`, at most `most` rows; none at the end.
    pub(super) fn onward(&self, next: Option<&str>, most: usize) -> Option<Self> {
        let after = Cursor::read(next?)?;
        Some(Self { after: Some(after), most, ..self.clone() })
    }

    /// The order from the list's beginning, at most `most` rows at a time.
    pub(super) fn whole(&self, most: usize) -> Self {
        Self { after: None, most, ..self.clone() }
    }
}

/// A column that rows in memory may be sorted by.
pub type Sort<T> = (&'static str, fn(&T, &T) -> Ordering);

/// One page of a list that is held whole, or of [`View::all`] the whole; `id` tells rows of the same value apart and names the last one of a page.
///
/// # Errors
/// 422 for a column that is none of `sorts`, 400 for a row that is no longer there.
pub fn page_of<T>(
    mut rows: Vec<T>,
    view: &View,
    sorts: &[Sort<T>],
    usual: &str,
    id: impl Fn(&T) -> String,
) -> Result<Page<T>, Problem> {
    let (name, descending) = chosen(view, usual);
    let found = sorts.iter().find(|(known, _)| *known == name);
    let (_, compare) = found.ok_or_else(|| unknown_column(sorts.iter().map(|(name, _)| *name)))?;
    rows.sort_by(|one, other| {
        let order = compare(one, other).then_with(|| id(one).cmp(&id(other)));
        if descending { order.reverse() } else { order }
    });
    if let Some(after) = view.after.as_deref().filter(|after| !after.is_empty()) {
        let at = rows.iter().position(|row| id(row) == after).ok_or_else(stale)?;
        rows.drain(..=at);
    }
    let most = if view.limit == Some(usize::MAX) { usize::MAX } else { limit(view.limit) };
    Ok(Page::cut(rows, most, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{params, scene::Scene};

    fn view(sort: &str, after: Option<String>) -> View {
        View { sort: Some(sort.into()), after, limit: Some(2) }
    }

    #[test]
    fn a_page_names_the_next_only_if_there_is_one() {
        let page = Page::cut(vec![1, 2, 3], 2, |n| n.to_string());
        assert_eq!(page, Page { items: vec![1, 2], next: Some("2".into()) });
        assert_eq!(Page::cut(vec![1, 2], 2, |n: &i32| n.to_string()).next, None);
        assert_eq!(limit(None), 500);
        assert_eq!(limit(Some(0)), 1);
    }

    #[test]
    fn rows_in_memory_come_page_by_page_in_the_order_asked_for() {
        let rows = || vec![("c", 1), ("a", 2), ("b", 2), ("d", 0)];
        let sorts: [Sort<(&str, i32)>; 2] = [("name", |a, b| a.0.cmp(b.0)), ("n", |a, b| a.1.cmp(&b.1))];
        let read = |sort: &str| {
            let (mut all, mut after) = (String::new(), None);
            loop {
                let page =
                    page_of(rows(), &view(sort, after), &sorts, "name", |row| row.0.to_owned()).unwrap();
                all.extend(page.items.iter().map(|row| row.0));
                after = page.next;
                if after.is_none() {
                    return all;
                }
            }
        };
        assert_eq!(
            (read(""), read("-name"), read("n"), read("-n")),
            ("abcd".into(), "dcba".into(), "dcab".into(), "bacd".into())
        );
        let bad = |view: &View| page_of(rows(), view, &sorts, "name", |row| row.0.to_owned()).unwrap_err();
        assert_eq!(bad(&view("secret", None)).status, 422);
        assert_eq!(bad(&view("name", Some("gone".into()))).status, 400);
    }

    #[tokio::test]
    async fn rows_of_the_database_come_page_by_page_in_the_order_asked_for() {
        const COLUMNS: Columns = Columns {
            sorts: &[("user", "s.user_name"), ("seen", "s.seen_at")],
            id: "s.address",
            usual: "-seen",
        };
        let scene = Scene::new().await;
        let store = &scene.centre.store;
        store
            .write("sessions", |tx| {
                for (n, (user, seen)) in [("admin", 5), ("hr", 3), ("admin", 3), ("tech", 4)].iter().enumerate() {
                    tx.execute(
                        "INSERT INTO sessions (token_hash, user_name, address, created_at, seen_at) VALUES ($1, $2, $3, 0, $4)",
                        params![vec![n as u8], *user, format!("a{n}"), *seen],
                    )?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        let read = async |sort: &'static str| {
            let (mut all, mut after) = (String::new(), None);
            loop {
                let order = COLUMNS.order(&view(sort, after)).unwrap();
                let work = move |sql: &mut dyn Sql| {
                    order.page(sql, Filter::new(), "s.address", "sessions s", |row| row.get::<String>(0))
                };
                let page: Page<String> = store.read(work).await.unwrap();
                all.extend(page.items);
                after = page.next;
                if after.is_none() {
                    return all;
                }
            }
        };
        assert_eq!(read("").await, "a0a3a2a1");
        assert_eq!(read("seen").await, "a1a2a3a0");
        assert_eq!(read("user").await, "a0a2a1a3");
        assert_eq!(read("-user").await, "a3a1a2a0");
        for (sort, after) in [("token_hash", None), ("seen; DROP TABLE sessions", None)] {
            let problem = COLUMNS.order(&view(sort, after)).unwrap_err();
            assert_eq!(
                (problem.status, problem.detail.as_str()),
                (422, "sort: user, seen, or one of these with - before it")
            );
        }
        assert_eq!(COLUMNS.order(&view("seen", Some("12:x".into()))).unwrap_err().status, 400);
    }
}
