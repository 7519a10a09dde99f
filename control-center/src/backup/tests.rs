use super::*;
use crate::{
    params,
    store::{Sql, Store},
};

const NOW: UtcMillis = UtcMillis(1_795_000_000_000);

async fn centre(data: &Path) -> Store {
    fs::create_dir_all(data.join("ca")).unwrap();
    fs::create_dir_all(data.join("evidence")).unwrap();
    fs::write(data.join("ca/ca-key.pem"), "key").unwrap();
    fs::write(data.join("evidence/package"), "large").unwrap();
    fs::write(data.join("addresses.json"), "{}").unwrap();
    let store = Store::open_sqlite(&data.join(DATABASE)).unwrap();
    write(&store, "450103-01").await;
    store
}

async fn write(store: &Store, hall: &'static str) {
    store
        .write("hall", move |tx| {
            tx.execute(
                "INSERT INTO nodes (id, hall, version, enrolled_at) VALUES ($1, $1, '1', 0)",
                params![hall],
            )
        })
        .await
        .unwrap();
}

async fn halls(store: &Store) -> usize {
    store.read(|sql| sql.query("SELECT id FROM nodes", params![])).await.unwrap().len()
}

#[tokio::test]
async fn a_backup_of_a_running_centre_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backups"));
    let store = centre(&data).await;
    let made = make(&data, &to, None, NOW).unwrap();
    assert_eq!(made.files, 2);
    assert!(!made.folder.join("evidence").exists() && !made.folder.join("addresses.json").exists());
    write(&store, "450103-02").await;
    store.close().await;

    assert!(matches!(put_back(&made.folder, &data, false, NOW), Err(BackupError::Occupied(_))));
    let back = put_back(&made.folder, &data, true, NOW).unwrap();
    assert!(back.before.unwrap().join("evidence/package").exists());
    assert_eq!(fs::read_to_string(data.join("ca/ca-key.pem")).unwrap(), "key");
    let mode = fs::metadata(data.join("ca/ca-key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let store = Store::open_sqlite(&data.join(DATABASE)).unwrap();
    assert_eq!(halls(&store).await, 1);
    // The first start writes down what was put back, once.
    for _ in 0..2 {
        note_restore(&store, &data, NOW).await.unwrap();
        assert_eq!(said(&store).await, [format!("centre.restored {}", made.folder.display())]);
    }
    store.close().await;
}

async fn said(store: &Store) -> Vec<String> {
    let rows = store.read(|sql| sql.query("SELECT action, object FROM audit ORDER BY n", params![])).await;
    let words = |row: &crate::store::Row| {
        format!("{} {}", row.get::<String>(0).unwrap(), row.get::<String>(1).unwrap())
    };
    rows.unwrap().iter().map(words).collect()
}

#[tokio::test]
async fn nothing_is_put_back_below_a_running_centre() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backups"));
    let store = centre(&data).await;
    let running = DataLock::take(&data).unwrap();
    let made = make(&data, &to, None, NOW).unwrap();
    note_backup(&store, &made).await.unwrap();
    assert_eq!(said(&store).await, [format!("centre.backed_up {}", made.folder.display())]);
    assert!(matches!(put_back(&made.folder, &data, true, NOW), Err(BackupError::InUse(NotTaken::Held(_)))));
    assert_eq!(halls(&store).await, 1, "it is where it was");
    store.close().await;
    drop(running);
    let back = put_back(&made.folder, &data, true, NOW).unwrap();
    assert!(back.before.is_some() && !data.join(data_lock::FILE).exists());
}

#[tokio::test]
async fn a_changed_backup_is_not_put_back_and_names_are_not_paths() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backups"));
    centre(&data).await.close().await;
    let made = make(&data, &to, None, NOW).unwrap();
    let target = folder.path().join("new");
    fs::write(made.folder.join("ca/ca-key.pem"), "kez").unwrap();
    assert!(matches!(put_back(&made.folder, &target, false, NOW), Err(BackupError::NotWhole { .. })));
    let list = fs::read_to_string(made.folder.join(LIST)).unwrap();
    fs::write(made.folder.join(LIST), list.replace("ca/ca-key.pem", "../ca-key.pem")).unwrap();
    assert!(matches!(put_back(&made.folder, &target, false, NOW), Err(BackupError::NotWhole { .. })));
    assert!(!target.exists());
}

#[tokio::test]
async fn only_the_newest_backups_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backups"));
    centre(&data).await.close().await;
    for second in 0..4 {
        make(&data, &to, Some(2), NOW.plus(second * 1000)).unwrap();
    }
    let mut left: Vec<_> = fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left.len(), 2);
    assert!(matches!(make(&to, &to, None, NOW), Err(BackupError::NoCentre(_))));
}
