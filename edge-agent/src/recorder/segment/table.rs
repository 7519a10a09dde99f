//! A segment's fragments as the index keeps them: about ten bytes each, since a hall makes a hundred million a month.

/// Why bytes are no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table of fragments is damaged: rebuild the index")]
pub struct BadTable;

/// One fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where its mark begins in the file.
    pub at: u64,
    /// Bytes of mark, `moof` and `mdat`.
    pub len: u32,
    /// When its first picture was, UTC µs.
    pub wall_us: i64,
    /// To the end of its last picture, µs.
    pub duration_us: u64,
    /// Frames.
    pub frames: u32,
    /// It begins with a key frame.
    pub key: bool,
}

impl Entry {
    /// The end of its last picture, UTC µs.
    pub fn end_us(&self) -> i64 {
        self.wall_us.saturating_add(i64::try_from(self.duration_us).unwrap_or(i64::MAX))
    }
}

/// A segment's fragments, in order, without a hole between them in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table(pub Vec<Entry>);

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(rest: &mut &[u8]) -> Result<u64, BadTable> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(BadTable)?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(BadTable);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(BadTable)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

impl Table {
    /// Frames of all fragments.
    pub fn frames(&self) -> u64 {
        self.0.iter().map(|entry| u64::from(entry.frames)).sum()
    }

    /// When the first picture was; none for an empty table.
    pub fn start_us(&self) -> Option<i64> {
        self.0.first().map(|entry| entry.wall_us)
    }

    /// The end of the last picture.
    pub fn end_us(&self) -> Option<i64> {
        self.0.last().map(Entry::end_us)
    }

    /// The bytes kept: where the first fragment begins; then for each its length, how far its time is from the end of
    /// the one before, its duration, its frames and whether it begins with a key frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * 11 + 16);
        put(&mut out, self.0.first().map_or(0, |entry| entry.at));
        let mut expected = 0i64;
        for entry in &self.0 {
            put(&mut out, u64::from(entry.len));
            put(&mut out, zigzag(entry.wall_us.wrapping_sub(expected)));
            put(&mut out, entry.duration_us);
            put(&mut out, u64::from(entry.frames) << 1 | u64::from(entry.key));
            expected = entry.end_us();
        }
        out
    }

    /// Reads them back.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, BadTable> {
        let rest = &mut bytes;
        let mut at = take(rest)?;
        let mut expected = 0i64;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let len = u32::try_from(take(rest)?).map_err(|_| BadTable)?;
            let wall_us = expected.wrapping_add(unzigzag(take(rest)?));
            let duration_us = take(rest)?;
            let packed = take(rest)?;
            let frames = u32::try_from(packed >> 1).map_err(|_| BadTable)?;
            let entry = Entry { at, len, wall_us, duration_us, frames, key: packed & 1 != 0 };
            expected = entry.end_us();
            at = at.checked_add(u64::from(len)).ok_or(BadTable)?;
            entries.push(entry);
        }
        Ok(Self(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_table_comes_back(start in 0u64..1 << 40, rows in proptest::collection::vec((1u32.., any::<i32>(), 0u64..1 << 40, 0u32..1 << 30, any::<bool>()), 0..50)) {
            let mut at = start;
            let mut wall_us = 1_795_000_000_000_000i64;
            let mut entries = Vec::new();
            for (len, step, duration_us, frames, key) in rows {
                wall_us += i64::from(step);
                entries.push(Entry { at, len, wall_us, duration_us, frames, key });
                at += u64::from(len);
            }
            let table = Table(entries);
            prop_assert_eq!(Table::decode(&table.encode()).unwrap(), table);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Table::decode(&bytes);
        }
    }
}
