use proptest::prelude::*;

use super::*;
use crate::store::Filter;

fn person(grants: Vec<(Role, String)>) -> Person {
    let grants: Vec<Grant> =
        grants.into_iter().map(|(role, path)| Grant { role, scope: path.clone(), path }).collect();
    Person {
        name: "x".into(),
        grants: grants.into(),
        must_change: false,
        must_have_factor: false,
        address: "t".into(),
        session: [0; 32],
    }
}

/// A random tree: each place hangs below an earlier one.
fn tree() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(any::<prop::sample::Index>(), 1..14).prop_map(|parents| {
        let mut paths: Vec<String> = vec!["/450000/".into()];
        for (n, parent) in parents.iter().enumerate() {
            let above = paths[parent.index(paths.len())].clone();
            // 4501 and 45010 must not be taken for each other.
            paths.push(format!("{above}{}/", 450_100 + n));
        }
        paths
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_function_and_the_predicate_agree(
        paths in tree(),
        given in proptest::collection::vec((0usize..5, any::<prop::sample::Index>()), 0..4),
        action in 0usize..Action::ALL.len(),
    ) {
        let action = Action::ALL[action];
        let grants = given.iter().map(|(role, at)| (Role::ALL[*role], paths[at.index(paths.len())].clone())).collect();
        let person = person(grants);
        let scope = Scope::of(&person, action);
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE places (path TEXT)").unwrap();
        let mut sql = crate::store::sqlite::Statements(&connection);
        for path in &paths {
            sql.execute("INSERT INTO places (path) VALUES ($1)", params![path]).unwrap();
        }
        let mut filter = Filter::new();
        filter.within("path", &scope);
        let (statement, arguments) = filter.statement("SELECT path FROM places", "ORDER BY path", 1000);
        let mut found: Vec<String> =
            sql.query(&statement, &arguments).unwrap().iter().map(|row| row.get(0).unwrap()).collect();
        let mut expected: Vec<String> = paths
            .iter()
            .filter(|path| may(&person, action, &Place::at((*path).clone())).is_ok())
            .cloned()
            .collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
        for path in &paths {
            prop_assert_eq!(scope.holds(path), may(&person, action, &Place::at(path.clone())).is_ok());
        }
    }
}

#[test]
fn outside_is_told_apart_from_not_allowed() {
    let hr = person(vec![(Role::Hr, "/1/2/".into())]);
    assert_eq!(may(&hr, Action::SeePunches, &Place::at("/1/2/3/")), Ok(()));
    assert_eq!(may(&hr, Action::WatchLive, &Place::at("/1/2/3/")), Err(Denied::Role));
    assert_eq!(may(&hr, Action::SeePunches, &Place::at("/1/4/")), Err(Denied::Outside));
    assert_eq!(may(&hr, Action::SeePunches, &Place::at("/1/")), Err(Denied::Outside));
}
