use super::*;
use crate::params;

fn opened() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("centre.db")).unwrap();
    (folder, store)
}

async fn count(store: &Store) -> i64 {
    store
        .read(|sql| -> Result<i64, StoreError> {
            sql.query_one("SELECT COUNT(*) FROM mirrors", params![])?.unwrap().get(0)
        })
        .await
        .unwrap()
}

fn insert(tx: &mut Tx<'_>, name: &str) -> Result<(), StoreError> {
    tx.execute("INSERT INTO mirrors (node, at) VALUES ($1, 1)", params![name])?;
    Ok(())
}

#[tokio::test]
async fn many_writes_share_commits_and_each_stands_for_itself() {
    let (_folder, store) = opened();
    let writes = (0..400).map(|n| {
        let store = store.clone();
        async move {
            store
                .write("test", move |tx| {
                    insert(tx, &format!("n{n}"))?;
                    if n % 4 == 0 { Err(StoreError::Busy) } else { Ok(()) }
                })
                .await
                .is_ok()
        }
    });
    let kept = futures_util::future::join_all(writes).await.into_iter().filter(|kept| *kept).count();
    assert_eq!(kept, 300);
    assert_eq!(count(&store).await, 300);
    let metrics = store.metrics();
    let commits = metrics.lines().find(|l| l.starts_with("hallwatch_store_commits_total ")).unwrap();
    let commits: u64 = commits.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(commits < 400, "{commits} commits for 400 writes");
}

#[tokio::test]
async fn a_write_that_panics_is_undone_alone() {
    let (_folder, store) = opened();
    let bad = store.write("bad", |tx| -> Result<(), StoreError> {
        insert(tx, "bad")?;
        panic!("unforeseen")
    });
    let good = store.write("good", |tx| insert(tx, "good"));
    let (bad, good) = tokio::join!(bad, good);
    assert!(matches!(bad, Err(StoreError::Closed)));
    good.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn changes_are_told_after_the_commit_and_only_then() {
    let (_folder, store) = opened();
    let mut changes = store.changes();
    let failed: Result<(), StoreError> = store
        .write("undone", |tx| {
            tx.changes.push(Change::Tree);
            Err(StoreError::Busy)
        })
        .await;
    assert!(failed.is_err());
    let node: control_protocol::NodeId = "n".parse().unwrap();
    let told = node.clone();
    store
        .write("done", move |tx| {
            insert(tx, "x")?;
            tx.changes.push(Change::Node(told));
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    assert_eq!(changes.recv().await.unwrap(), Change::Node(node));
    assert!(changes.try_recv().is_err());
}

#[tokio::test]
async fn what_is_written_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("centre.db");
    let store = Store::open_sqlite(&file).unwrap();
    store.write("one", |tx| insert(tx, "x")).await.unwrap();
    store.close().await;
    assert!(matches!(store.write("late", |tx| insert(tx, "y")).await, Err(StoreError::Closed)));
    let store = Store::open_sqlite(&file).unwrap();
    assert_eq!(count(&store).await, 1);
    store.close().await;
    // A database that only newer programs can use is refused.
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute("INSERT INTO schema_version (version, name) VALUES (999, 'later')", []).unwrap();
    connection.execute("UPDATE schema_readable SET from_version = 999", []).unwrap();
    assert!(matches!(Store::open_sqlite(&file), Err(StoreError::Open(_))));
}

#[tokio::test]
async fn a_reader_cannot_write_and_sees_one_snapshot() {
    let (_folder, store) = opened();
    let refused =
        store.read(|sql| sql.execute("INSERT INTO mirrors (node, at) VALUES ('a', 1)", params![])).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn arguments_go_by_their_number() {
    let (_folder, store) = opened();
    store
        .write("one", |tx| {
            insert(tx, "x")?;
            tx.execute("UPDATE mirrors SET at = $2 WHERE node = $1", params!["x", 5i64])
        })
        .await
        .unwrap();
    let read = store.read(|sql| -> Result<(i64, String), StoreError> {
        let row = sql
            .query_one("SELECT $3 + $1, $2 || $2 FROM mirrors WHERE at = $1", params![5i64, "b", 7i64])?
            .unwrap();
        Ok((row.get(0)?, row.get(1)?))
    });
    assert_eq!(read.await.unwrap(), (12, "bb".to_owned()));
    assert!(store.read(|sql| sql.query("SELECT $2", params![1i64])).await.is_err());
}
