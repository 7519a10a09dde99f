//! Builds the condition of a list from what was asked, with every value as an argument and none in the text.

use super::{Cell, Param, ToParam};
use crate::access::Scope;

/// Conditions that must all hold, and their arguments.
#[derive(Default)]
pub struct Filter<'a> {
    conditions: Vec<String>,
    params: Vec<Param<'a>>,
}

impl<'a> Filter<'a> {
    /// No condition.
    pub fn new() -> Self {
        Self::default()
    }

    /// The row's place must lie within the scope.
    pub fn within(&mut self, column: &str, scope: &'a Scope) -> &mut Self {
        self.conditions.push(scope.clause(column, self.params.len() + 1));
        self.params.extend(scope.params());
        self
    }

    /// No row of the subquery `rows` (which ends in its conditions) has a place outside the scope; a place that is NULL is
    /// none.
    pub fn none_outside(&mut self, rows: &str, column: &str, scope: &'a Scope) -> &mut Self {
        let inside = scope.clause(column, self.params.len() + 1);
        self.conditions.push(format!("NOT EXISTS ({rows} AND NOT {inside})"));
        self.params.extend(scope.params());
        self
    }

    /// A condition with one argument, written with `?` in its place; left out where there is no value.
    pub fn with<T: ToParam>(&mut self, condition: &str, value: &'a Option<T>) -> &mut Self {
        if let Some(value) = value {
            self.one(condition, value);
        }
        self
    }

    /// A condition with one argument, written with `?` in its place (any number of times).
    pub fn one<T: ToParam + ?Sized>(&mut self, condition: &str, value: &'a T) -> &mut Self {
        self.params.push(value.to_param());
        self.conditions.push(condition.replace('?', &format!("${}", self.params.len())));
        self
    }

    /// A condition without an argument.
    pub fn always(&mut self, condition: &str) -> &mut Self {
        self.conditions.push(condition.to_owned());
        self
    }

    /// Only rows behind the one with this `key` and `id`, of a list ordered by both in this direction.
    pub fn behind(
        &mut self,
        key_column: &str,
        key: &'a Cell,
        id_column: &str,
        id: &'a Cell,
        descending: bool,
    ) -> &mut Self {
        self.params.push(key.to_param());
        self.params.push(id.to_param());
        let (key, id) = (self.params.len() - 1, self.params.len());
        let side = if descending { '<' } else { '>' };
        // The first condition is what an index can begin at.
        self.conditions.push(format!(
            "{key_column} {side}= ${key} AND ({key_column} {side} ${key} OR {id_column} {side} ${id})"
        ));
        self
    }

    /// `SELECT … WHERE (all of it) tail LIMIT limit`, and the arguments. `select` ends before `WHERE`.
    pub fn statement(mut self, select: &str, tail: &str, limit: usize) -> (String, Vec<Param<'a>>) {
        if self.conditions.is_empty() {
            self.conditions.push("1 = 1".into());
        }
        let limit_at = self.params.len() + 1;
        let sql = format!("{select} WHERE {} {tail} LIMIT ${limit_at}", self.conditions.join(" AND "));
        self.params.push(Param::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
        (sql, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_its_arguments() {
        let (hall, missing) = (Some("h".to_owned()), None::<i64>);
        let mut filter = Filter::new();
        filter.with("a = ?", &hall).with("b > ?", &missing).one("(c = ? OR d = ?)", "x");
        let (sql, params) = filter.statement("SELECT 1 FROM t", "ORDER BY a", 5);
        assert_eq!(sql, "SELECT 1 FROM t WHERE a = $1 AND (c = $2 OR d = $2) ORDER BY a LIMIT $3");
        assert_eq!(params.len(), 3);
    }
}
