//! Lists: `{"items":[…],"next":…}`, at most 500 rows unless asked otherwise.

use serde::Serialize;
use utoipa::ToSchema;

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

/// A cursor of a list ordered by a time and an id: `1795000000123:450103-01-…`.
pub fn split_cursor(cursor: &str) -> Option<(i64, String)> {
    let (at, id) = cursor.split_once(':')?;
    Some((at.parse().ok()?, id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_next_only_if_there_is_one() {
        let page = Page::cut(vec![1, 2, 3], 2, |n| n.to_string());
        assert_eq!(page, Page { items: vec![1, 2], next: Some("2".into()) });
        assert_eq!(Page::cut(vec![1, 2], 2, |n: &i32| n.to_string()).next, None);
        assert_eq!(limit(None), 500);
        assert_eq!(limit(Some(0)), 1);
        assert_eq!(split_cursor("12:a:b"), Some((12, "a:b".into())));
        assert_eq!(split_cursor("x"), None);
    }
}
