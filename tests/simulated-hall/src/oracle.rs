//! The simulated hall's own log: what was pressed, printed, rated and punched, and whether the device was answered.
//!
//! One JSON object a line, written after the answer came. System tests read it and compare, by identity, with what
//! the system under test says.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;

use crate::day::{Action, Expectation};

/// One thing that was done to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number in this log, from 1.
    pub n: u64,
    /// Hall ID.
    pub hall: String,
    /// When it was done.
    pub at: Timestamp,
    /// The time the device itself put on it (a ticket's printed time, a punch's time), local to the device.
    pub device_time: Option<DateTime>,
    /// What was done.
    pub action: Action,
    /// What a correct system makes of it; nothing for what was ordered by hand.
    pub expect: Option<Expectation>,
    /// When the device was answered; nothing for devices that get no answer (ticket machine), or when none came.
    pub acknowledged: Option<Timestamp>,
    /// For a rating that counts: milliseconds since the key that invited it was acknowledged. More than the rating
    /// window of the system under test means that it could not count (something held the script up).
    pub since_invited_ms: Option<u64>,
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line that is not the last is no record.
    #[error("{path}, line {line}: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Reads a log. A last line without its end (the writer was killed, or is just writing) is left out; a file that is
/// not there is an empty log.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn read(path: &Path) -> Result<Vec<Record>, OracleError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(OracleError::Unreadable { path: path.to_owned(), source }),
    };
    let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
    let parse = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|source| OracleError::Line {
            path: path.to_owned(),
            line: at + 1,
            source,
        })
    };
    whole.lines().enumerate().map(parse).collect()
}

/// Writes a log, after what stands in it already.
pub(crate) struct Oracle {
    file: tokio::fs::File,
    hall: String,
    last: u64,
}

impl Oracle {
    /// Opens the log for writing; `last` is the number of the last record in it.
    pub(crate) async fn open(path: &Path, hall: &str, last: u64) -> io::Result<Self> {
        let mut file = tokio::fs::OpenOptions::new().create(true).read(true).append(true).open(path).await?;
        // A torn last line of a run before must not swallow the first of this one.
        let text = tokio::fs::read(path).await?;
        if text.last().is_some_and(|byte| *byte != b'\n') {
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            file.set_len(whole as u64).await?;
        }
        file.flush().await?;
        Ok(Self { file, hall: hall.to_owned(), last })
    }

    /// Puts one record at the end, and gives it back with its number and hall filled in.
    pub(crate) async fn write(&mut self, mut record: Record) -> io::Result<Record> {
        self.last += 1;
        record.n = self.last;
        record.hall.clone_from(&self.hall);
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        self.file.write_all(&line).await?;
        self.file.flush().await?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            n: 0,
            hall: String::new(),
            at: "2026-11-22T01:02:03.456Z".parse().unwrap(),
            device_time: Some("2026-11-22T09:02:03".parse().unwrap()),
            action: Action::Ticket { number: "A001".into(), business: "社保".into(), waiting: 3 },
            expect: Some(Expectation::Issued { ticket: "A001".into() }),
            acknowledged: None,
            since_invited_ms: None,
        }
    }

    #[tokio::test]
    async fn a_torn_line_is_left_out_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("oracle.jsonl");
        assert!(read(&path).unwrap().is_empty());
        let mut oracle = Oracle::open(&path, "450103-01", 0).await.unwrap();
        oracle.write(record()).await.unwrap();
        drop(oracle);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"n\":2,");
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        let mut oracle = Oracle::open(&path, "450103-01", 1).await.unwrap();
        oracle.write(record()).await.unwrap();
        let records = read(&path).unwrap();
        assert_eq!(records.iter().map(|record| record.n).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(Record { n: 0, hall: String::new(), ..records[0].clone() }, record());
    }
}
