//! For how many days footage is kept, as the centre ordered it: a small file beside the recordings, which wins over the hall's
//! own file until the order is taken back.

use std::{io, path::Path};

use control_protocol::footage::ORDERED_DAYS;
use serde::{Deserialize, Serialize};

use crate::vault::write_private;

/// The file's name in the folder of the recordings.
const FILE: &str = "keep.json";

/// What was ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ordered {
    days: Option<u32>,
}

impl Ordered {
    pub(super) fn of(days: Option<u32>) -> Self {
        Self { days }
    }

    /// What stands in the folder. What cannot be read, or makes no sense, is nothing: the hall's file counts.
    pub(super) fn read(folder: &Path) -> Self {
        let text = match std::fs::read(folder.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(error) => {
                tracing::error!(%error, "{FILE} cannot be read; footage is kept as long as the hall's file says");
                return Self::default();
            }
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(ordered) if ordered.days.is_none_or(|days| ORDERED_DAYS.contains(&days)) => ordered,
            _ => {
                tracing::error!("{FILE} makes no sense; footage is kept as long as the hall's file says");
                Self::default()
            }
        }
    }

    /// Puts it into the folder; it is on disk when this returns.
    pub(super) fn write(self, folder: &Path) -> io::Result<()> {
        write_private(&folder.join(FILE), &serde_json::to_vec(&self)?)
    }

    /// The days that count, where the hall's file says `of_file`.
    pub(super) fn days(self, of_file: u32) -> u32 {
        self.days.unwrap_or(of_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_stands_until_it_is_taken_back_and_nonsense_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Ordered::read(folder.path()).days(7), 7);
        Ordered::of(Some(90)).write(folder.path()).unwrap();
        assert_eq!(Ordered::read(folder.path()).days(7), 90);
        for nonsense in ["{\"days\":29}", "{\"days\":4000}", "x"] {
            std::fs::write(folder.path().join(FILE), nonsense).unwrap();
            assert_eq!(Ordered::read(folder.path()).days(7), 7, "{nonsense}");
        }
        Ordered::of(None).write(folder.path()).unwrap();
        assert_eq!(Ordered::read(folder.path()).days(7), 7);
    }
}
