//! The container: an uncompressed ZIP archive written in one way only, so that names, lengths and contents decide every
//! byte of it. Whoever opens it with an ordinary program sees files; whoever reads it here finds any byte that is not
//! the one that must stand there, in headers and at the end too (docs/reference/evidence.md).
//!
//! Reading goes from the first byte to the last, holds no content, and never makes a file or a path of a name.

use std::io::{self, Read, Seek, SeekFrom, Write};

use control_protocol::Digest;
use ring::digest::{Context, SHA256};

/// The most files in a package.
pub const MAX_FILES: usize = 20_000;
/// The longest name, bytes.
pub const MAX_NAME: usize = 200;
/// The longest package, bytes: offsets of the plain format have 32 bits.
pub const MAX_BYTES: u64 = u32::MAX as u64;
/// What stands at the very end of a package.
pub const COMMENT: &[u8] = b"hallwatch evidence 1";

const LOCAL: usize = 30;
const CENTRAL: usize = 46;
const END: usize = 22;
/// 1980-01-01, the first day the format knows: a file's times stand in the manifest.
const DATE: u16 = 0x0021;
/// Version 1.0: files stored as they are.
const NEEDED: u16 = 10;
const CHUNK: usize = 64 * 1024;

/// Why bytes are not a package written as it must be.
#[derive(Debug, thiserror::Error)]
pub enum BadContainer {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is something else altogether.
    #[error("it is not a Hallwatch evidence package")]
    Foreign,
    /// It ends before its end.
    #[error("it ends at byte {0}, in the middle")]
    Short(u64),
    /// A header is not as it must be.
    #[error("byte {0} begins a header that is not as a package has it")]
    Header(u64),
    /// A name that no package has.
    #[error("the name at byte {0} is none that a package may have")]
    Name(u64),
    /// Too many files.
    #[error("it has more than {MAX_FILES} files")]
    Files,
    /// The contents do not agree with their check sum.
    #[error("`{0}` does not agree with its check sum")]
    Sum(String),
    /// The list of files at the end is not the one that must stand there.
    #[error("the list of files at byte {0} is not the one that belongs to these files")]
    List(u64),
    /// Something follows.
    #[error("something follows behind its end at byte {0}")]
    Behind(u64),
}

/// Why a package cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CannotPack {
    /// The file.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// Larger than the format can say.
    #[error("the package would be larger than 4 GiB: export a shorter time or fewer cameras")]
    TooLarge,
    /// More files than are allowed.
    #[error("the package would have more than {MAX_FILES} files: export a shorter time or fewer cameras")]
    TooMany,
    /// A name that may not stand in a package, or stands there already.
    #[error("`{0}` is no name for a file of a package")]
    Name(String),
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Their digest.
    pub sha256: Digest,
}

/// Whether `name` may stand in a package: letters, digits and `. _ -`, in parts divided by `/`, none of which begins
/// with a dot.
pub fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        })
}

/// What stands in the headers of a file.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    sum: u32,
    length: u32,
    at: u32,
}

impl Row {
    fn fields(&self, out: &mut Vec<u8>) {
        for value in [NEEDED, 0, 0, 0, DATE] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        for value in [self.sum, self.length, self.length] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        let name = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&name.to_le_bytes());
        out.extend_from_slice(&0u16.to_le_bytes());
    }

    /// What stands before the contents.
    fn local(&self) -> Vec<u8> {
        let mut out = b"PK\x03\x04".to_vec();
        self.fields(&mut out);
        out.extend_from_slice(self.name.as_bytes());
        out
    }

    /// What stands in the list at the end.
    fn central(&self) -> Vec<u8> {
        let mut out = b"PK\x01\x02".to_vec();
        out.extend_from_slice(&NEEDED.to_le_bytes());
        self.fields(&mut out);
        // Comment, disk, attributes: none.
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
        out
    }
}

/// The end of a package whose list begins at `at` and has `length` bytes.
fn end(files: usize, at: u64, length: u64) -> Vec<u8> {
    let mut out = b"PK\x05\x06\0\0\0\0".to_vec();
    let files = u16::try_from(files).unwrap_or(u16::MAX);
    out.extend_from_slice(&files.to_le_bytes());
    out.extend_from_slice(&files.to_le_bytes());
    for value in [length, at] {
        out.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
    }
    out.extend_from_slice(&(COMMENT.len() as u16).to_le_bytes());
    out.extend_from_slice(COMMENT);
    out
}

struct Open {
    row: Row,
    length: u64,
    sum: crc32fast::Hasher,
    sha256: Context,
}

/// Writes a package. Blocks.
pub struct Packer<W: Write + Seek> {
    out: W,
    at: u64,
    rows: Vec<Row>,
    open: Option<Open>,
}

impl<W: Write + Seek> Packer<W> {
    /// A package that begins where `out` does.
    pub fn new(out: W) -> Self {
        Self { out, at: 0, rows: Vec::new(), open: None }
    }

    /// Begins a file; [`Self::write`] gives its contents, [`Self::close`] ends it.
    pub fn begin(&mut self, name: &str) -> Result<(), CannotPack> {
        let taken = self.open.is_some() || self.rows.iter().any(|row| row.name == name);
        if taken || !is_name(name) {
            return Err(CannotPack::Name(name.chars().take(MAX_NAME).collect()));
        }
        if self.rows.len() == MAX_FILES {
            return Err(CannotPack::TooMany);
        }
        let at = u32::try_from(self.at).map_err(|_| CannotPack::TooLarge)?;
        let row = Row { name: name.to_owned(), sum: 0, length: 0, at };
        let header = row.local();
        self.out.write_all(&header)?;
        self.at += header.len() as u64;
        self.open =
            Some(Open { row, length: 0, sum: crc32fast::Hasher::new(), sha256: Context::new(&SHA256) });
        Ok(())
    }

    /// More of the file's contents.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CannotPack> {
        let Some(open) = self.open.as_mut() else { return Err(CannotPack::Name(String::new())) };
        if self.at + bytes.len() as u64 > MAX_BYTES {
            return Err(CannotPack::TooLarge);
        }
        self.out.write_all(bytes)?;
        open.sum.update(bytes);
        open.sha256.update(bytes);
        open.length += bytes.len() as u64;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Ends the file: its header is written once more, now that its sum is known.
    pub fn close(&mut self) -> Result<Stored, CannotPack> {
        let Some(open) = self.open.take() else { return Err(CannotPack::Name(String::new())) };
        let length = u32::try_from(open.length).map_err(|_| CannotPack::TooLarge)?;
        let row = Row { sum: open.sum.finalize(), length, ..open.row };
        self.out.seek(SeekFrom::Start(row.at.into()))?;
        self.out.write_all(&row.local())?;
        self.out.seek(SeekFrom::Start(self.at))?;
        let stored = Stored { name: row.name.clone(), bytes: open.length, sha256: digest_of(open.sha256) };
        self.rows.push(row);
        Ok(stored)
    }

    /// Takes an open file back, as if it had not been begun.
    pub fn take_back(&mut self) -> Result<(), CannotPack> {
        if let Some(open) = self.open.take() {
            self.at = open.row.at.into();
            self.out.seek(SeekFrom::Start(self.at))?;
        }
        Ok(())
    }

    /// A whole file.
    pub fn file(&mut self, name: &str, contents: &[u8]) -> Result<Stored, CannotPack> {
        self.begin(name)?;
        self.write(contents)?;
        self.close()
    }

    /// Writes the list of files and the end; gives what was written to, and the package's length. What was written to
    /// may be longer, where a file was taken back: the caller cuts it.
    pub fn finish(mut self) -> Result<(W, u64), CannotPack> {
        let list: Vec<u8> = self.rows.iter().flat_map(Row::central).collect();
        let end = end(self.rows.len(), self.at, list.len() as u64);
        let length = self.at + list.len() as u64 + end.len() as u64;
        if length > MAX_BYTES {
            return Err(CannotPack::TooLarge);
        }
        self.out.write_all(&list)?;
        self.out.write_all(&end)?;
        self.out.flush()?;
        Ok((self.out, length))
    }
}

fn digest_of(context: Context) -> Digest {
    Digest::from_slice(context.finish().as_ref()).unwrap_or(Digest::ZERO)
}

/// What comes next in a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The file's name.
    pub name: String,
    /// How long its header says it is.
    pub bytes: u64,
}

/// Reads a package.
pub struct Unpacker<R: Read> {
    input: R,
    at: u64,
    rows: Vec<Row>,
    /// The file whose contents come next.
    open: Option<Row>,
}

impl<R: Read> Unpacker<R> {
    /// A package from its first byte.
    pub fn new(input: R) -> Self {
        Self { input, at: 0, rows: Vec::new(), open: None }
    }

    /// The next file; none at the end of the package, which is then whole in its form: every header, the list and the
    /// end are what they must be, and nothing follows.
    pub fn next_file(&mut self) -> Result<Option<Next>, BadContainer> {
        let begun = self.at;
        let mut header = [0; LOCAL];
        // The shortest thing that can stand here is the end.
        self.fill(&mut header[..4])?;
        if header.starts_with(b"PK\x01\x02") || self.rows.is_empty() && header.starts_with(b"PK\x05\x06") {
            return self.ending(begun, [header[0], header[1], header[2], header[3]]).map(|()| None);
        }
        self.fill(&mut header[4..])?;
        let word = |at: usize| -> u32 {
            header.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
        };
        let name_length = usize::from(u16::from_le_bytes([header[26], header[27]]));
        let plain = Row {
            name: String::new(),
            sum: word(14),
            length: word(18),
            at: u32::try_from(begun).map_err(|_| BadContainer::Header(begun))?,
        };
        if name_length == 0 || name_length > MAX_NAME {
            return Err(BadContainer::Header(begun));
        }
        let mut name = vec![0; name_length];
        self.fill(&mut name)?;
        let name = String::from_utf8(name).ok().filter(|name| is_name(name));
        let name = name.ok_or(BadContainer::Name(begun + LOCAL as u64))?;
        let row = Row { name, ..plain };
        let expected = row.local();
        if expected.get(..LOCAL) != Some(&header[..]) {
            return Err(BadContainer::Header(begun));
        }
        if self.rows.len() == MAX_FILES {
            return Err(BadContainer::Files);
        }
        let next = Next { name: row.name.clone(), bytes: row.length.into() };
        self.open = Some(row);
        Ok(Some(next))
    }

    /// The contents of the file that [`Self::next_file`] gave, piece by piece to `sink`. Whether they agree with the
    /// check sum is said at the end, so that everything else can still be judged.
    pub fn contents(&mut self, mut sink: impl FnMut(&[u8])) -> Result<(Stored, bool), BadContainer> {
        let Some(row) = self.open.take() else { return Err(BadContainer::Header(self.at)) };
        let (mut sum, mut sha256) = (crc32fast::Hasher::new(), Context::new(&SHA256));
        let mut left = u64::from(row.length);
        let mut chunk = [0; CHUNK];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let place = chunk.get_mut(..most).unwrap_or_default();
            let got = read(&mut self.input, place)?;
            if got == 0 {
                return Err(BadContainer::Short(self.at));
            }
            let bytes = place.get(..got).unwrap_or_default();
            sum.update(bytes);
            sha256.update(bytes);
            sink(bytes);
            self.at += got as u64;
            left -= got as u64;
        }
        let sound = sum.finalize() == row.sum;
        let stored = Stored { name: row.name.clone(), bytes: row.length.into(), sha256: digest_of(sha256) };
        self.rows.push(row);
        Ok((stored, sound))
    }

    /// The list and the end, whose first four bytes have been read.
    fn ending(&mut self, begun: u64, first: [u8; 4]) -> Result<(), BadContainer> {
        let mut length = 0;
        let mut read_first: &[u8] = &first;
        for at in 0..=self.rows.len() {
            let expected = match self.rows.get(at) {
                Some(row) => row.central(),
                None => end(self.rows.len(), begun, length),
            };
            length += expected.len() as u64;
            let mut found = vec![0; expected.len()];
            let (known, rest) = found.split_at_mut(read_first.len());
            known.copy_from_slice(read_first);
            read_first = &[];
            self.fill(rest)?;
            if found != expected {
                return Err(BadContainer::List(begun));
            }
        }
        if read(&mut self.input, &mut [0])? != 0 {
            return Err(BadContainer::Behind(self.at));
        }
        Ok(())
    }

    fn fill(&mut self, mut place: &mut [u8]) -> Result<(), BadContainer> {
        while !place.is_empty() {
            let got = read(&mut self.input, place)?;
            if got == 0 {
                return Err(BadContainer::Short(self.at));
            }
            self.at += got as u64;
            place = place.get_mut(got..).unwrap_or_default();
        }
        Ok(())
    }
}

fn read(input: &mut impl Read, place: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(place) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Whether a file is a package, perhaps a damaged one: it begins with the header of `first`, or it ends as packages do.
/// One damaged place leaves the other. Leaves `input` at its beginning.
pub fn looks_like_one(input: &mut (impl Read + Seek), first: &str) -> io::Result<bool> {
    let length = input.seek(SeekFrom::End(0))?;
    input.rewind()?;
    let mut begins = Vec::new();
    input.take((LOCAL + first.len()) as u64).read_to_end(&mut begins)?;
    let begun = begins.starts_with(b"PK\x03\x04") && begins.get(LOCAL..) == Some(first.as_bytes());
    let tail = (COMMENT.len() + 4) as u64;
    let mut ended = false;
    if length >= END as u64 + COMMENT.len() as u64 {
        input.seek(SeekFrom::Start(length - tail))?;
        let mut ends = Vec::new();
        input.take(tail).read_to_end(&mut ends)?;
        ended = ends.ends_with(COMMENT);
    }
    input.rewind()?;
    Ok(begun || ended)
}

const _: () = assert!(CENTRAL == LOCAL + 16 && MAX_FILES <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut packer = Packer::new(Cursor::new(Vec::new()));
        for (name, contents) in files {
            packer.file(name, contents).unwrap();
        }
        let (out, length) = packer.finish().unwrap();
        assert_eq!(length, out.get_ref().len() as u64);
        out.into_inner()
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<(Stored, Vec<u8>)>, BadContainer> {
        let mut reader = Unpacker::new(bytes);
        let mut files = Vec::new();
        while let Some(next) = reader.next_file()? {
            let mut contents = Vec::new();
            let (stored, sound) = reader.contents(|bytes| contents.extend_from_slice(bytes))?;
            assert_eq!(next.name, stored.name);
            if !sound {
                return Err(BadContainer::Sum(stored.name));
            }
            files.push((stored, contents));
        }
        Ok(files)
    }

    #[test]
    fn what_is_packed_is_read_back_and_nothing_may_follow() {
        let bytes = packed(&[("a.txt", b"one"), ("b/c-1.mp4", b""), ("z", &[7; 200_000])]);
        let files = unpacked(&bytes).unwrap();
        let names: Vec<&str> = files.iter().map(|(stored, _)| stored.name.as_str()).collect();
        assert_eq!(names, ["a.txt", "b/c-1.mp4", "z"]);
        assert_eq!((&files[0].1[..], files[2].1.len()), (&b"one"[..], 200_000));
        assert_eq!(files[0].0.sha256, Digest::of(b"one"));
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(unpacked(&longer), Err(BadContainer::Behind(_))));
        for cut in [1, 29, 40, bytes.len() - 1] {
            assert!(matches!(unpacked(&bytes[..cut]), Err(BadContainer::Short(_))), "{cut}");
        }
        assert!(unpacked(&packed(&[])).unwrap().is_empty());
    }

    /// An independent program reads it.
    #[test]
    fn an_ordinary_program_opens_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("package.zip");
        std::fs::write(&path, packed(&[("a.txt", b"one"), ("b/c.txt", b"two")])).unwrap();
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                      print(z.namelist(), z.read('b/c.txt').decode(), z.comment.decode())";
        let python = std::process::Command::new("python3").args(["-c", script]).arg(&path).output();
        let python = python.expect("python3 is needed: run scripts/setup test");
        assert_eq!(
            String::from_utf8_lossy(&python.stdout).trim(),
            "['a.txt', 'b/c.txt'] two hallwatch evidence 1",
            "{}",
            String::from_utf8_lossy(&python.stderr)
        );
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "/etc/passwd", "../x", "a/../b", "a//b", ".hidden", "a\\b", "a b", "é", "a/"] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_name("footage/450103-01-W07-C1/20261122/010203.456Z-1-1.mp4"));
        let mut packer = Packer::new(Cursor::new(Vec::new()));
        packer.file("a", b"").unwrap();
        assert!(matches!(packer.file("a", b""), Err(CannotPack::Name(_))));
    }

    #[test]
    fn a_file_taken_back_leaves_no_trace() {
        let mut packer = Packer::new(Cursor::new(Vec::new()));
        packer.file("a", b"one").unwrap();
        packer.begin("b").unwrap();
        packer.write(&[9; 50]).unwrap();
        packer.take_back().unwrap();
        packer.file("c", b"three").unwrap();
        let (out, length) = packer.finish().unwrap();
        let mut bytes = out.into_inner();
        bytes.truncate(length as usize);
        assert_eq!(bytes, packed(&[("a", b"one"), ("c", b"three")]));
    }

    proptest! {
        /// Any one flipped bit is found: in the form, or in a file's contents or name.
        #[test]
        fn one_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let files: [(&str, &[u8]); 3] = [("a.txt", b"one"), ("b/c.mp4", &[5; 300]), ("m", b"{}")];
            let mut bytes = packed(&files);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(found) = unpacked(&bytes) {
                let same = found.iter().zip(files).all(|((stored, contents), (name, was))| stored.name == name && contents == was);
                prop_assert!(!same);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), keep in 0usize..200) {
            let mut begun = packed(&[("a.txt", b"one"), ("b", b"two")]);
            begun.truncate(keep);
            begun.extend_from_slice(&bytes);
            let _ = unpacked(&begun);
            let _ = unpacked(&bytes);
            let _ = looks_like_one(&mut Cursor::new(&bytes), "a.txt").unwrap();
        }
    }
}
