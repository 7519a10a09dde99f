//! Walking a segment: what is whole in it, and where the first bad byte is. A file from a disk that lost its power is
//! outside bytes: nothing in it is trusted before its digest agrees.

use std::{
    io::{self, Read},
    sync::Arc,
};

use bytes::Bytes;
use control_protocol::chain::Digest;
use ring::digest::{Context, SHA256};

use super::{
    COVERED, HEAD_TYPE, Head, MARK, MAX_BODY, MAX_HEAD, Mark,
    boxes::SampleEntry,
    sound::Sound,
    table::{Entry, Table},
};

/// Why a scan ended before the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bad {
    /// Where the first part that is not whole begins.
    pub at: u64,
    /// What is wrong with it.
    pub why: &'static str,
}

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// What it says of itself.
    pub head: Head,
    /// What a decoder must be told.
    pub entry: SampleEntry,
    /// Bytes before the first fragment.
    pub head_len: u64,
    /// Its whole fragments.
    pub table: Table,
    /// The first fragment's mark.
    pub first: Option<Mark>,
    /// The digest of everything that is whole.
    pub digest: Digest,
    /// Bytes that are whole.
    pub good: u64,
    /// Why it ends there; none where that is the end of the file.
    pub bad: Option<Bad>,
}

/// Reads a segment to its end or to the first part that is not whole.
///
/// # Errors
/// The file cannot be read, or it is no segment of ours: `InvalidData`.
pub fn scan(mut file: impl Read) -> io::Result<Scanned> {
    let (head, entry, head_bytes) = read_head(&mut file)?;
    let head_len = head_bytes.len() as u64;
    let mut found = Scanned {
        head,
        entry,
        head_len,
        table: Table::default(),
        first: None,
        digest: Digest::of(&head_bytes),
        good: head_len,
        bad: None,
    };
    let mut body = Vec::new();
    loop {
        match fragment(&mut file, &found, &mut body)? {
            Next::End => return Ok(found),
            Next::Bad(why) => {
                found.bad = Some(Bad { at: found.good, why });
                return Ok(found);
            }
            Next::Whole(mark, digest) => {
                let len = u32::try_from(MARK).unwrap_or(u32::MAX).saturating_add(mark.body_len);
                found.table.0.push(Entry {
                    at: found.good,
                    len,
                    wall_us: mark.wall_us,
                    duration_us: mark.duration_us,
                    frames: mark.frames,
                    key: mark.key,
                });
                found.good += u64::from(len);
                found.digest = digest;
                found.first.get_or_insert(mark);
            }
        }
    }
}

/// What a segment says of itself, and what a decoder must be told; reads no further than that.
///
/// # Errors
/// The file cannot be read, or it is no segment of ours: `InvalidData`.
pub fn head(mut file: impl Read) -> io::Result<(Head, SampleEntry)> {
    read_head(&mut file).map(|(head, entry, _)| (head, entry))
}

fn read_head(file: &mut impl Read) -> io::Result<(Head, SampleEntry, Vec<u8>)> {
    let no_segment = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("no segment: {why}"));
    let mut bytes = Vec::new();
    read_box(file, &mut bytes, b"ftyp").map_err(|w| w.or(&no_segment))?;
    let moov = read_box(file, &mut bytes, b"moov").map_err(|w| w.or(&no_segment))?;
    let entry = bytes.get(moov).and_then(sample_entry).ok_or_else(|| no_segment("its moov is not ours"))?;
    let said = read_box(file, &mut bytes, b"uuid").map_err(|w| w.or(&no_segment))?;
    let said = bytes.get(said).and_then(|said| said.strip_prefix(&HEAD_TYPE)).unwrap_or_default();
    let head: Head = serde_json::from_slice(said).map_err(|e| no_segment(&format!("its head: {e}")))?;
    if head.v != 1 {
        return Err(no_segment(&format!("version {} is not known", head.v)));
    }
    let entry = SampleEntry { codec: head.codec.clone(), ..entry };
    Ok((head, entry, bytes))
}

enum Next {
    End,
    Bad(&'static str),
    Whole(Mark, Digest),
}

fn fragment(file: &mut impl Read, found: &Scanned, body: &mut Vec<u8>) -> io::Result<Next> {
    let mut bytes = [0; MARK];
    match read_full(file, &mut bytes)? {
        0 => return Ok(Next::End),
        MARK => {}
        _ => return Ok(Next::Bad("a mark cut short")),
    }
    let Some(mark) = Mark::decode(&bytes) else { return Ok(Next::Bad("no mark of a fragment")) };
    if mark.prev != found.digest {
        return Ok(Next::Bad("a mark that does not follow from what is before it"));
    }
    if usize::try_from(mark.number).ok() != Some(found.table.0.len() + 1) {
        return Ok(Next::Bad("a mark out of order"));
    }
    let length = mark.body_len as usize;
    if length > MAX_BODY {
        return Ok(Next::Bad("a fragment too large"));
    }
    body.clear();
    if file.take(length as u64).read_to_end(body)? != length {
        return Ok(Next::Bad("a fragment cut short"));
    }
    let mut context = Context::new(&SHA256);
    context.update(bytes.get(..COVERED).unwrap_or_default());
    context.update(body);
    if context.finish().as_ref() != mark.whole.as_bytes() {
        return Ok(Next::Bad("a fragment whose bytes are not those that were written"));
    }
    if !is_body(body) {
        return Ok(Next::Bad("a fragment that is not moof and mdat"));
    }
    Ok(Next::Whole(mark, Digest::of(&bytes)))
}

/// `moof` and `mdat`, nothing else.
fn is_body(body: &[u8]) -> bool {
    let Some(moof) = length_of(body, b"moof") else { return false };
    let Some(rest) = body.get(moof..) else { return false };
    length_of(rest, b"mdat") == Some(rest.len())
}

fn length_of(bytes: &[u8], name: &[u8; 4]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (rest.starts_with(name) && length >= 8 && length <= bytes.len()).then_some(length)
}

enum Wrong {
    Io(io::Error),
    Form(&'static str),
}

impl Wrong {
    fn or(self, make: &impl Fn(&str) -> io::Error) -> io::Error {
        match self {
            Self::Io(e) => e,
            Self::Form(why) => make(why),
        }
    }
}

/// Reads one box of `name` to the end of `into`; gives where its content is.
fn read_box(
    file: &mut impl Read,
    into: &mut Vec<u8>,
    name: &[u8; 4],
) -> Result<std::ops::Range<usize>, Wrong> {
    let mut header = [0; 8];
    if read_full(file, &mut header).map_err(Wrong::Io)? != header.len() {
        return Err(Wrong::Form("it ends within its head"));
    }
    let [a, b, c, d, given @ ..] = header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if given != *name || length < 8 || into.len() + length > MAX_HEAD {
        return Err(Wrong::Form("its head is not ours"));
    }
    into.extend_from_slice(&header);
    let at = into.len();
    let content = file.take(length as u64 - 8).read_to_end(into).map_err(Wrong::Io)?;
    if content != length - 8 {
        return Err(Wrong::Form("it ends within its head"));
    }
    Ok(at..into.len())
}

/// Reads until `into` is full or the file ends; gives how much came.
fn read_full(file: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(room) = into.get_mut(got..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

fn child<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    child_and_rest(bytes, name).map(|(inside, _)| inside)
}

/// The first box of that name, and what follows it.
fn child_and_rest<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<(&'a [u8], &'a [u8])> {
    let mut rest = bytes;
    loop {
        let length = usize::try_from(u32::from_be_bytes(*rest.first_chunk::<4>()?)).ok()?;
        let whole = rest.get(..length).filter(|whole| whole.len() >= 8)?;
        let after = rest.get(length..)?;
        if whole.get(4..8)? == name {
            return Some((whole.get(8..)?, after));
        }
        rest = after;
    }
}

/// What a track's `stsd` has, from the length of its entry on.
fn entry_of(track: &[u8]) -> Option<&[u8]> {
    let mut inside = track;
    for name in [b"mdia", b"minf", b"stbl", b"stsd"] {
        inside = child(inside, name)?;
    }
    inside.get(8..)
}

/// The sample entry of a `moov` of ours, with the sound's where there is one; the picture's codec is said by the head.
fn sample_entry(moov: &[u8]) -> Option<SampleEntry> {
    let (picture, rest) = child_and_rest(moov, b"trak")?;
    let sound = match child(rest, b"trak") {
        Some(track) => Some(Arc::new(Sound::read(entry_of(track)?.get(4..)?)?)),
        None => None,
    };
    let entry = entry_of(picture)?;
    let name = entry.get(4..8)?;
    let configuration: &[u8; 4] = match name {
        b"avc1" => b"avcC",
        b"hvc1" => b"hvcC",
        _ => return None,
    };
    let sized = |at: usize| entry.get(at..)?.first_chunk::<2>().map(|b| u32::from(u16::from_be_bytes(*b)));
    let record = child(entry.get(8 + 78..)?, configuration)?;
    Some(SampleEntry {
        codec: String::new(),
        width: sized(8 + 24)?,
        height: sized(8 + 26)?,
        record: Bytes::copy_from_slice(record),
        sound,
    })
}
