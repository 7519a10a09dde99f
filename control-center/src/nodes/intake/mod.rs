//! The intake of events: a batch in, one transaction, and the answer only after its commit. A journal's events take
//! effect in their own order, each proved by the hash of the one before, so that the record is the same whatever was
//! doubled, reordered or cut differently on the way.
//!
//! What contradicts the record (the same key with another hash, a case opened by two epochs) is kept apart and told as
//! a quarantine of the node, until a person lifts it; what follows the record goes on being taken, so that a clone of a
//! disk never silences the hall it was cloned from. What cannot be read is kept raw and counted as committed.

mod commit;
mod reading;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use control_protocol::{
    chain::ChainEnd,
    intake::{Answer, Mark, Quarantine, unpack},
};

use super::{NodeIdentity, Nodes, count};
use crate::{
    params,
    store::{Change, FromCell, Row, Sql, StoreError},
};

use reading::read_lines;

/// Why a batch was not taken at all.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It cannot be unpacked, or is too large.
    #[error(transparent)]
    Batch(#[from] control_protocol::intake::BadBatch),
    /// The store failed; nothing of the batch was taken.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work was cut short because the centre stops.
    #[error("the centre is stopping")]
    Stopping,
}

/// Takes a batch as posted by the node of `identity`.
pub async fn take(nodes: &Nodes, identity: &NodeIdentity, batch: Bytes) -> Result<Answer, IntakeError> {
    let (node, hall) = (identity.node.clone(), identity.hall.clone());
    // Hashing and reading 500 events takes milliseconds: not for a thread that carries pictures.
    let lines =
        tokio::task::spawn_blocking(move || unpack(&batch).map(|lines| read_lines(lines, &node, &hall)))
            .await
            .map_err(|_| IntakeError::Stopping)?;
    let lines = match lines {
        Ok(lines) => std::sync::Arc::new(lines),
        Err(error) => {
            count(&nodes.figures().refused_batches, 1);
            return Err(error.into());
        }
    };
    let node = identity.node.clone();
    let now = nodes.now();
    let (held, of) = (lines.clone(), node.clone());
    let first = nodes.store().write("intake", move |tx| commit::commit(tx, &of, &held, now, false)).await;
    let taken = match first {
        // A room that fails on one event must not hold up the journal: the second time each event stands by itself. One that
        // breaks down takes the whole write with it, whose end then looks as if the store were closed.
        Err(error @ (StoreError::Sql { .. } | StoreError::Read(_) | StoreError::Closed)) => {
            tracing::error!(%node, %error, "a batch failed as a whole; it is taken event by event");
            let of = node.clone();
            nodes
                .store()
                .write("intake, careful", move |tx| commit::commit(tx, &of, &lines, now, true))
                .await?
        }
        other => other?,
    };
    let figures = nodes.figures();
    count(&figures.batches, 1);
    count(&figures.events, taken.committed);
    count(&figures.duplicates, taken.duplicates);
    count(&figures.ahead, taken.ahead);
    count(&figures.poisoned, u64::from(taken.poisoned));
    count(&figures.conflicts, taken.conflicts);
    Ok(Answer {
        marks: vec![Mark { node, committed: taken.mark, quarantined: taken.quarantined }],
        poisoned: taken.poisoned,
        centre_utc_ms: nodes.now().0,
    })
}

/// How far a node's journal has been committed, for a node that asks before it sends.
pub async fn mark(nodes: &Nodes, identity: &NodeIdentity) -> Result<Answer, StoreError> {
    let node = identity.node.clone();
    let mark = nodes
        .store()
        .read(move |sql| {
            let committed = newest_mark(sql, &node)?;
            let flag = sql.query_one("SELECT quarantined FROM nodes WHERE id = $1", params![node])?;
            let flag: Option<String> = flag.map(|row| row.get(0)).transpose()?.flatten();
            // That another machine was turned away is no reason for this one's events to wait.
            let quarantined =
                flag.and_then(|flag| quarantine(&flag)).filter(|why| *why != Quarantine::TwoMachines);
            Ok::<_, StoreError>(Mark { node, committed, quarantined })
        })
        .await?;
    Ok(Answer { marks: vec![mark], poisoned: 0, centre_utc_ms: nodes.now().0 })
}

/// The mark of a node's newest epoch.
fn newest_mark(sql: &mut dyn Sql, node: &control_protocol::NodeId) -> Result<Option<ChainEnd>, StoreError> {
    let row = sql.query_one(
        "SELECT epoch, seq, digest FROM node_marks WHERE node = $1 ORDER BY epoch DESC LIMIT 1",
        params![node],
    )?;
    row.map(|row| Ok(ChainEnd { epoch: number(&row, 0)?, seq: number(&row, 1)?, digest: row.get(2)? }))
        .transpose()
}

/// A column that the schema holds as a signed integer and that is never negative.
fn number(row: &Row, at: usize) -> Result<u64, StoreError> {
    let value: i64 = row.get(at)?;
    u64::try_from(value).map_err(|_| StoreError::Read(format!("column {at}: {value} is negative")))
}

/// A quarantine's name, as the store has it.
pub(crate) fn quarantine_name(why: Quarantine) -> &'static str {
    match why {
        Quarantine::Forked => "forked",
        Quarantine::CaseReopened => "case_reopened",
        Quarantine::TwoMachines => "two_machines",
    }
}

fn quarantine(name: &str) -> Option<Quarantine> {
    [Quarantine::Forked, Quarantine::CaseReopened, Quarantine::TwoMachines]
        .into_iter()
        .find(|why| quarantine_name(*why) == name)
}

/// Raises a node's alarm, in plain words. One that is already there stays: the first is what a person must see to.
pub(crate) fn raise(
    sql: &mut dyn Sql,
    changes: &mut Vec<Change>,
    node: &control_protocol::NodeId,
    why: Quarantine,
    words: &str,
) -> Result<(), StoreError> {
    let raised = sql.execute(
        "UPDATE nodes SET quarantined = $2, alarm = $3 WHERE id = $1 AND quarantined IS NULL",
        params![node, quarantine_name(why), words],
    )?;
    if raised > 0 {
        tracing::error!(%node, alarm = words, "a node is quarantined");
        changes.push(Change::Node(node.clone()));
    }
    Ok(())
}

/// Reads an optional column.
fn optional<T: FromCell>(row: &Row, at: usize) -> Result<Option<T>, StoreError> {
    row.get(at)
}
