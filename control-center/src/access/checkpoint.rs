//! Checkpoints of the audit log: every minute in which rows came, the newest row's hash is signed with the centre's audit
//! key (Ed25519) and told to the program's log. The chain alone shows that a row was changed; a checkpoint shows that the
//! chain up to it was not made anew by somebody who has the database and not the key.

use std::{collections::BTreeMap, fmt, io, path::Path, time::Duration};

use control_protocol::{Digest, UtcMillis};
use data_encoding::{BASE64, HEXLOWER};
use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use tokio_util::sync::CancellationToken;

use super::audit;
use crate::{
    Clock, params, secret_file,
    store::{Sql, Store, StoreError},
};

/// The key's file in the data folder.
pub const FILE: &str = "audit/audit-key";
/// How often it is looked whether rows came.
const EVERY: Duration = Duration::from_secs(60);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error("the audit key, {FILE}: {0}")]
    File(#[from] io::Error),
    /// It is not a key.
    #[error("{FILE} does not hold the centre's audit key: restore it from a backup")]
    Damaged,
    /// No randomness.
    #[error("the system gave no random bytes")]
    Random,
}

/// The key that signs checkpoints.
pub struct AuditKey(Ed25519KeyPair);

impl AuditKey {
    /// The key of a data folder; made where there is none. Blocks.
    pub fn open(data: &Path) -> Result<Self, KeyError> {
        let path = data.join(FILE);
        if let Some(text) = secret_file::read(&path)? {
            let pkcs8 = BASE64.decode(text.trim().as_bytes()).map_err(|_| KeyError::Damaged)?;
            return Ed25519KeyPair::from_pkcs8(&pkcs8).map(Self).map_err(|_| KeyError::Damaged);
        }
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        secret_file::make_folder(&path)?;
        secret_file::write(&path, &BASE64.encode(pkcs8.as_ref()))?;
        Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map(Self).map_err(|_| KeyError::Random)
    }

    /// The public key, 32 bytes.
    pub fn public(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap_or_default()
    }

    /// Signs the chain as it is now; gives the row, or none where there is nothing that is not signed yet.
    pub fn sign(&self, sql: &mut dyn Sql, now: UtcMillis) -> Result<Option<i64>, StoreError> {
        let Some((n, hash)) = audit::end(sql)? else { return Ok(None) };
        let last = sql.query_one("SELECT COALESCE(MAX(n), 0) FROM audit_checkpoints", params![])?;
        if last.map_or(Ok(0), |row| row.get::<i64>(0))? >= n {
            return Ok(None);
        }
        let signature = self.0.sign(message(n, now, hash).as_bytes());
        sql.execute(
            "INSERT INTO audit_checkpoints (n, at, hash, key, signature) VALUES ($1, $2, $3, $4, $5)",
            params![n, now, hash, self.public()[..], signature.as_ref()[..]],
        )?;
        // A copy of this line on another machine tells even if rows at the end are taken away together with their
        // checkpoints.
        tracing::info!(n, %hash, signature = HEXLOWER.encode(signature.as_ref()), "audit checkpoint");
        Ok(Some(n))
    }
}

fn message(n: i64, at: UtcMillis, hash: Digest) -> String {
    format!("hallwatch audit checkpoint v1\n{n}\n{}\n{hash}\n", at.0)
}

/// Signs what came, until `stop`, and once more then.
pub async fn keep(store: Store, clock: Clock, key: AuditKey, stop: CancellationToken) {
    let key = std::sync::Arc::new(key);
    let mut every = tokio::time::interval(EVERY);
    loop {
        let last = tokio::select! {
            () = stop.cancelled() => true,
            _ = every.tick() => false,
        };
        let (key, now) = (key.clone(), clock.now());
        if let Err(error) = store.write("audit checkpoint", move |tx| key.sign(tx, now)).await {
            tracing::error!(%error, "the audit log could not be signed; it is tried again");
        }
        if last {
            return;
        }
    }
}

/// A log that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Its rows.
    pub rows: i64,
    /// Rows up to the newest checkpoint.
    pub signed: i64,
    /// Checkpoints.
    pub checkpoints: usize,
    /// The keys that signed them, hexadecimal, with how many each signed.
    pub keys: BTreeMap<String, usize>,
}

/// The first place where a log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The row with this number was changed, or is missing.
    Row(i64),
    /// The checkpoint at this row signs another chain: rows up to it were made anew.
    Chain(i64),
    /// The checkpoint at this row has no good signature.
    Signature(i64),
    /// The checkpoint at this row is signed by a key that is not trusted.
    Key(i64, String),
    /// Rows were taken away from the end: a checkpoint names a row beyond the last.
    End(i64, i64),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(n) => write!(f, "row {n} is missing or is not what was written"),
            Self::Chain(n) => {
                write!(f, "the checkpoint at row {n} signs another chain: rows up to it were written anew")
            }
            Self::Signature(n) => write!(f, "the checkpoint at row {n} has no good signature"),
            Self::Key(n, key) => {
                write!(f, "the checkpoint at row {n} is signed by another key than the trusted one: {key}")
            }
            Self::End(last, n) => {
                write!(f, "rows behind row {last} were taken away: there is a checkpoint at row {n}")
            }
        }
    }
}

/// Walks the whole log and its checkpoints; gives what it is, or its first bad place. `trusted` is the public key that
/// must have signed, 32 bytes.
pub fn verify(sql: &mut dyn Sql, trusted: Option<[u8; 32]>) -> Result<Result<Whole, Broken>, StoreError> {
    struct Checkpoint {
        at: UtcMillis,
        hash: Digest,
        key: Vec<u8>,
        signature: Vec<u8>,
    }
    let rows =
        sql.query("SELECT n, at, hash, key, signature FROM audit_checkpoints ORDER BY n", params![])?;
    let mut checkpoints = BTreeMap::new();
    for row in &rows {
        let checkpoint =
            Checkpoint { at: row.get(1)?, hash: row.get(2)?, key: row.get(3)?, signature: row.get(4)? };
        checkpoints.insert(row.get::<i64>(0)?, checkpoint);
    }
    let mut whole = Whole {
        rows: 0,
        signed: checkpoints.keys().next_back().copied().unwrap_or(0),
        checkpoints: checkpoints.len(),
        keys: BTreeMap::new(),
    };
    let broken = audit::walk(sql, |n, hash, good| {
        if !good {
            return Some(Broken::Row(n));
        }
        whole.rows = n;
        let Checkpoint { at, hash: signed, key, signature } = checkpoints.get(&n)?;
        let by = HEXLOWER.encode(key);
        if UnparsedPublicKey::new(&ED25519, key)
            .verify(message(n, *at, *signed).as_bytes(), signature)
            .is_err()
        {
            return Some(Broken::Signature(n));
        }
        if trusted.is_some_and(|trusted| trusted[..] != key[..]) {
            return Some(Broken::Key(n, by));
        }
        *whole.keys.entry(by).or_default() += 1;
        (*signed != hash).then_some(Broken::Chain(n))
    })?;
    if let Some(broken) = broken {
        return Ok(Err(broken));
    }
    if whole.signed > whole.rows {
        return Ok(Err(Broken::End(whole.rows, whole.signed)));
    }
    Ok(Ok(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    async fn log(rows: i64) -> (tempfile::TempDir, Store, AuditKey) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("centre.db")).unwrap();
        let key = AuditKey::open(folder.path()).unwrap();
        write(&store, 0..rows).await;
        (folder, store, key)
    }

    async fn write(store: &Store, rows: std::ops::Range<i64>) {
        store
            .write("audit", move |tx| {
                for n in rows {
                    let object = format!("o{n}");
                    let entry =
                        audit::Entry { who: "li", address: "a", action: "x", object: &object, detail: "" };
                    audit::record(tx, &entry, UtcMillis(n))?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }

    async fn sign(store: &Store, key: AuditKey) -> (Option<i64>, AuditKey) {
        store.write("sign", move |tx| Ok::<_, StoreError>((key.sign(tx, UtcMillis(9))?, key))).await.unwrap()
    }

    async fn run(store: &Store, statement: &'static str) {
        store.write("tamper", move |tx| tx.execute(statement, params![])).await.unwrap();
    }

    async fn verdict(store: &Store, trusted: Option<[u8; 32]>) -> Result<Whole, Broken> {
        store.read(move |sql| verify(sql, trusted)).await.unwrap()
    }

    #[tokio::test]
    async fn a_changed_row_is_found_and_named() {
        let (_folder, store, key) = log(5).await;
        let (signed, key) = sign(&store, key).await;
        assert_eq!(signed, Some(5));
        let (again, key) = sign(&store, key).await;
        assert_eq!(again, None, "nothing new to sign");
        let whole = verdict(&store, Some(key.public())).await.unwrap();
        assert_eq!((whole.rows, whole.signed, whole.checkpoints), (5, 5, 1));
        run(&store, "UPDATE audit SET object = 'other' WHERE n = 3").await;
        assert_eq!(verdict(&store, None).await, Err(Broken::Row(3)));
    }

    #[tokio::test]
    async fn a_chain_made_anew_is_found_by_its_checkpoint() {
        let (_folder, store, key) = log(3).await;
        sign(&store, key).await;
        // The whole chain written anew, as who has the database can, and as many rows.
        run(&store, "DELETE FROM audit").await;
        write(&store, 10..13).await;
        assert_eq!(verdict(&store, None).await, Err(Broken::Chain(3)));
        // With a checkpoint of another key over it.
        let other = tempfile::tempdir().unwrap();
        let forged = AuditKey::open(other.path()).unwrap();
        let forger = HEXLOWER.encode(&forged.public());
        run(&store, "DELETE FROM audit_checkpoints").await;
        sign(&store, forged).await;
        assert!(verdict(&store, None).await.is_ok(), "only who knows the key can tell");
        assert_eq!(verdict(&store, Some([7; 32])).await, Err(Broken::Key(3, forger)));
    }

    #[tokio::test]
    async fn rows_taken_from_the_end_and_a_bad_signature_are_found() {
        let (_folder, store, key) = log(4).await;
        sign(&store, key).await;
        run(&store, "DELETE FROM audit WHERE n > 2").await;
        assert_eq!(verdict(&store, None).await, Err(Broken::End(2, 4)));
        let (_folder, store, key) = log(4).await;
        sign(&store, key).await;
        run(&store, "UPDATE audit_checkpoints SET at = 10").await;
        assert_eq!(verdict(&store, None).await, Err(Broken::Signature(4)));
    }
}
