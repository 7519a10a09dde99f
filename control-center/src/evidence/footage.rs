//! Walking a recording as its bytes pass by: whether each byte is the one the agent wrote, and what digest proves it. Holds
//! a head or a mark at a time and never a picture.
//!
//! A recording may be whole, or a part: then of a fragment that is left out only its mark stands there. The marks alone
//! make the chain, so a part is proven by the same digest as the whole (docs/design/recorder.md).

use control_protocol::{
    Digest,
    event::ClockQuality,
    recording::{COVERED, HEAD_TYPE, Head, MARK, MAX_BODY, MAX_HEAD, Mark},
};
use ring::digest::{Context, SHA256};

/// Why bytes are not a recording as an agent wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFootage {
    /// It does not begin as a recording does.
    #[error("it does not begin as a recording does")]
    Head,
    /// It ends in the middle.
    #[error("it ends in the middle, after fragment {0}")]
    Short(u32),
    /// Something else stands where a fragment's mark must.
    #[error("behind fragment {0} stands something that is no fragment's mark")]
    Mark(u32),
    /// A mark that does not follow from what is before it.
    #[error("fragment {0} does not follow from what is before it: something was changed, left out or put in")]
    Chain(u32),
    /// The pictures of a fragment are not those that were written.
    #[error("the pictures of fragment {number}, of {at}, are not those that were recorded")]
    Pictures {
        /// The fragment's number.
        number: u32,
        /// When it was, as its mark says.
        at: jiff::Timestamp,
    },
}

/// What a recording holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footage {
    /// What it says of itself.
    pub head: Head,
    /// Fragments of the segment.
    pub fragments: u32,
    /// Those whose pictures are there.
    pub present: u32,
    /// Frames that are there.
    pub frames: u64,
    /// The first picture that is there, UTC µs; zero where none is.
    pub from_us: i64,
    /// The end of the last picture that is there, UTC µs.
    pub to_us: i64,
    /// Fragments with pictures in which frames were lost on the way from the camera.
    pub lossy: u32,
    /// Fragments with pictures by how far their time can be trusted: synchronised, unconfirmed, wrong.
    pub clock: [u32; 3],
    /// The digest that covers all of it: what the centre was told while it was recorded.
    pub digest: Digest,
}

struct Body {
    mark: Mark,
    digest: Digest,
    context: Context,
    /// Bytes of it that have passed.
    passed: usize,
    /// The first bytes of `moof`, and of `mdat` where `moof` ends.
    moof: [u8; 8],
    mdat: [u8; 8],
}

enum State {
    Head(Vec<u8>),
    /// A mark is coming.
    Mark {
        bytes: [u8; MARK],
        got: usize,
    },
    /// After a mark: pictures, or the next mark.
    Peek {
        mark: Mark,
        digest: Digest,
        bytes: [u8; 8],
        got: usize,
    },
    Body(Box<Body>),
}

/// The walk.
pub struct Walk {
    state: State,
    found: Option<Footage>,
    bad: Option<BadFootage>,
}

impl Default for Walk {
    fn default() -> Self {
        Self { state: State::Head(Vec::new()), found: None, bad: None }
    }
}

/// Moves what fits from `bytes` to `place[*got..]`; whether it is full.
fn gather(place: &mut [u8], got: &mut usize, bytes: &mut &[u8]) -> bool {
    let count = (place.len() - *got).min(bytes.len());
    let (now, rest) = bytes.split_at(count);
    if let Some(room) = place.get_mut(*got..*got + count) {
        room.copy_from_slice(now);
    }
    *got += count;
    *bytes = rest;
    *got == place.len()
}

fn length_of(header: &[u8; 8], name: &[u8; 4]) -> Option<usize> {
    let [a, b, c, d, given @ ..] = *header;
    (given == *name).then_some(u32::from_be_bytes([a, b, c, d]) as usize).filter(|length| *length >= 8)
}

/// How many bytes the head has, and where its JSON is, as far as `bytes` say; none while they do not.
fn head_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, BadFootage> {
    let mut at = 0;
    for name in [b"ftyp", b"moov", b"uuid"] {
        let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { return Ok(None) };
        let length = length_of(header, name).ok_or(BadFootage::Head)?;
        if at + length > MAX_HEAD {
            return Err(BadFootage::Head);
        }
        if name == b"uuid" {
            return Ok(Some((at + length, at + 8)));
        }
        at += length;
    }
    Ok(None)
}

fn read_head(bytes: &[u8], said: usize) -> Option<Head> {
    let json = bytes.get(said..)?.strip_prefix(&HEAD_TYPE)?;
    serde_json::from_slice(json).ok().filter(|head: &Head| head.v == 1)
}

impl Walk {
    /// The next bytes.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.bad.is_none() {
            if let Err(bad) = self.step(&mut bytes) {
                self.bad = Some(bad);
            }
        }
    }

    fn step(&mut self, bytes: &mut &[u8]) -> Result<(), BadFootage> {
        match &mut self.state {
            State::Head(head) => {
                // No further than the head goes, so that what follows is left for the next state.
                let wanted = match head_length(head)? {
                    Some((length, _)) => length,
                    None => head.len() + 1,
                };
                let count = wanted.saturating_sub(head.len()).min(bytes.len());
                let (now, rest) = bytes.split_at(count);
                head.extend_from_slice(now);
                *bytes = rest;
                let Some((length, said)) = head_length(head)? else { return Ok(()) };
                if head.len() < length {
                    return Ok(());
                }
                let read = read_head(head, said).ok_or(BadFootage::Head)?;
                self.found = Some(Footage {
                    head: read,
                    fragments: 0,
                    present: 0,
                    frames: 0,
                    from_us: 0,
                    to_us: 0,
                    lossy: 0,
                    clock: [0; 3],
                    digest: Digest::of(head),
                });
                self.state = State::Mark { bytes: [0; MARK], got: 0 };
            }
            State::Mark { bytes: mark, got } => {
                if gather(mark, got, bytes) {
                    let found = self.found.as_mut().ok_or(BadFootage::Head)?;
                    let digest = Digest::of(mark.as_slice());
                    let mark = Mark::decode(mark).ok_or(BadFootage::Mark(found.fragments))?;
                    if mark.prev != found.digest || mark.number != found.fragments + 1 {
                        return Err(BadFootage::Chain(found.fragments + 1));
                    }
                    if mark.body_len as usize > MAX_BODY || mark.body_len < 16 {
                        return Err(BadFootage::Mark(found.fragments));
                    }
                    self.state = State::Peek { mark, digest, bytes: [0; 8], got: 0 };
                }
            }
            State::Peek { mark, digest, bytes: peeked, got } => {
                if !gather(peeked, got, bytes) {
                    return Ok(());
                }
                let (mark, digest, peeked) = (*mark, *digest, *peeked);
                if length_of(&peeked, b"moof").is_some() {
                    let mut context = Context::new(&SHA256);
                    context.update(mark.encode().get(..COVERED).unwrap_or_default());
                    context.update(&peeked);
                    let body = Body { mark, digest, context, passed: 8, moof: peeked, mdat: [0; 8] };
                    self.state = State::Body(Box::new(body));
                } else {
                    self.left_out(digest)?;
                    let mut next = [0; MARK];
                    if let Some(place) = next.first_chunk_mut() {
                        *place = peeked;
                    }
                    self.state = State::Mark { bytes: next, got: 8 };
                }
            }
            State::Body(body) => {
                let left = body.mark.body_len as usize - body.passed;
                let (now, rest) = bytes.split_at(left.min(bytes.len()));
                body.pass(now);
                *bytes = rest;
                if body.passed == body.mark.body_len as usize {
                    let next = State::Mark { bytes: [0; MARK], got: 0 };
                    let State::Body(body) = std::mem::replace(&mut self.state, next) else {
                        return Ok(());
                    };
                    self.present(*body)?;
                }
            }
        }
        Ok(())
    }

    /// The pictures of the last mark are left out.
    fn left_out(&mut self, digest: Digest) -> Result<(), BadFootage> {
        let found = self.found.as_mut().ok_or(BadFootage::Head)?;
        found.fragments += 1;
        found.digest = digest;
        Ok(())
    }

    fn present(&mut self, body: Body) -> Result<(), BadFootage> {
        let found = self.found.as_mut().ok_or(BadFootage::Head)?;
        let mark = body.mark;
        let at = jiff::Timestamp::from_microsecond(mark.wall_us).unwrap_or_default();
        let not_those = BadFootage::Pictures { number: mark.number, at };
        let moof = length_of(&body.moof, b"moof");
        let mdat = length_of(&body.mdat, b"mdat");
        let formed = moof.zip(mdat).and_then(|(moof, mdat)| moof.checked_add(mdat));
        if body.context.finish().as_ref() != mark.whole.as_bytes() || formed != Some(body.passed) {
            return Err(not_those);
        }
        let end = mark.wall_us.saturating_add(i64::try_from(mark.duration_us).unwrap_or(i64::MAX));
        if found.present == 0 {
            (found.from_us, found.to_us) = (mark.wall_us, end);
        }
        found.fragments += 1;
        found.present += 1;
        found.frames += u64::from(mark.frames);
        found.from_us = found.from_us.min(mark.wall_us);
        found.to_us = found.to_us.max(end);
        found.lossy += u32::from(mark.lossy);
        let [synchronised, unconfirmed, wrong] = &mut found.clock;
        *match mark.quality {
            ClockQuality::Synchronised => synchronised,
            ClockQuality::Unconfirmed | ClockQuality::Reported => unconfirmed,
            ClockQuality::Wrong => wrong,
        } += 1;
        found.digest = body.digest;
        Ok(())
    }

    /// What the bytes that have passed are.
    ///
    /// # Errors
    /// They are not what an agent wrote, or do not end where a fragment ends.
    pub fn end(mut self) -> Result<Footage, BadFootage> {
        if let State::Peek { digest, got: 0, .. } = self.state
            && self.bad.is_none()
        {
            self.left_out(digest)?;
            self.state = State::Mark { bytes: [0; MARK], got: 0 };
        }
        match (self.bad, self.found, self.state) {
            (Some(bad), ..) => Err(bad),
            (None, Some(found), State::Mark { got: 0, .. }) if found.fragments > 0 => Ok(found),
            (None, Some(found), _) => Err(BadFootage::Short(found.fragments)),
            (None, None, _) => Err(BadFootage::Head),
        }
    }
}

impl Body {
    fn pass(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        // Eight bytes where `moof` ends; a length that is not sound is found at the end.
        let moof = length_of(&self.moof, b"moof").unwrap_or(0);
        for (at, place) in self.mdat.iter_mut().enumerate() {
            let at = moof.saturating_add(at);
            if let Some(byte) = at.checked_sub(self.passed).and_then(|at| bytes.get(at)) {
                *place = *byte;
            }
        }
        self.passed += bytes.len();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nested(name: &[u8; 4], inside: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(inside.len() + 8).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(inside);
        bytes
    }

    /// A mark, and the pictures behind it.
    pub(crate) type Piece = (Vec<u8>, Vec<u8>);

    /// A recording of `fragments` seconds that begins at `wall_us`, in pieces: head, then mark and pictures of each
    /// fragment. Written by what docs/design/recorder.md says, not by the agent.
    pub(crate) fn pieces(
        camera: &str,
        wall_us: i64,
        fragments: u32,
        prev: Digest,
    ) -> (Vec<u8>, Vec<Piece>, Digest) {
        let said = Head {
            v: 1,
            node: "hall-450103-01".parse().unwrap(),
            camera: camera.parse().unwrap(),
            run: 1,
            part: 1,
            boot: "b".into(),
            codec: "avc1.4d401f".into(),
            width: 640,
            height: 360,
            shift: 0,
            gap: None,
            prev,
        };
        let mut uuid = HEAD_TYPE.to_vec();
        uuid.extend_from_slice(&serde_json::to_vec(&said).unwrap());
        let head = [nested(b"ftyp", b"iso6"), nested(b"moov", &[0; 40]), nested(b"uuid", &uuid)].concat();
        let mut digest = Digest::of(&head);
        let mut written = Vec::new();
        for number in 1..=fragments {
            let pictures = vec![number as u8; 500 + number as usize];
            let body = [nested(b"moof", &[3; 60]), nested(b"mdat", &pictures)].concat();
            let mut mark = Mark {
                number,
                key: true,
                lossy: number == 2,
                quality: ClockQuality::Synchronised,
                wall_us: wall_us + i64::from(number - 1) * 1_000_000,
                mono_us: u64::from(number) * 1_000_000,
                duration_us: 1_000_000,
                pts_us: 0,
                frames: 25,
                body_len: body.len() as u32,
                prev: digest,
                whole: Digest::ZERO,
            };
            mark.whole = Digest::of(&[&mark.encode()[..COVERED], &body].concat());
            digest = Digest::of(&mark.encode());
            written.push((mark.encode().to_vec(), body));
        }
        (head, written, digest)
    }

    /// A whole recording and its digest.
    pub(crate) fn recording(camera: &str, wall_us: i64, fragments: u32, prev: Digest) -> (Vec<u8>, Digest) {
        let (mut bytes, written, digest) = pieces(camera, wall_us, fragments, prev);
        for (mark, body) in written {
            bytes.extend_from_slice(&mark);
            bytes.extend_from_slice(&body);
        }
        (bytes, digest)
    }

    pub(crate) const CAMERA: &str = "450103-01-W01-C1";
    const AT: i64 = 1_795_309_200_000_000;

    fn walked(bytes: &[u8], step: usize) -> Result<Footage, BadFootage> {
        let mut walk = Walk::default();
        bytes.chunks(step.max(1)).for_each(|chunk| walk.take(chunk));
        walk.end()
    }

    #[test]
    fn a_part_is_proven_by_the_digest_of_the_whole() {
        let (head, written, digest) = pieces(CAMERA, AT, 5, Digest::ZERO);
        for keep in 0u32..32 {
            let mut bytes = head.clone();
            for (n, (mark, body)) in written.iter().enumerate() {
                bytes.extend_from_slice(mark);
                if keep & 1 << n != 0 {
                    bytes.extend_from_slice(body);
                }
            }
            let found = walked(&bytes, 100).unwrap();
            assert_eq!((found.digest, found.fragments, found.present), (digest, 5, keep.count_ones()));
            assert_eq!(found.frames, u64::from(keep.count_ones()) * 25);
        }
    }

    #[test]
    fn what_is_cut_is_told_from_what_is_left_out() {
        let (bytes, digest) = recording(CAMERA, AT, 3, Digest::ZERO);
        let whole = walked(&bytes, 7).unwrap();
        assert_eq!((whole.digest, whole.from_us, whole.to_us), (digest, AT, AT + 3_000_000));
        assert_eq!((whole.lossy, whole.clock), (1, [3, 0, 0]));
        assert_eq!(walked(&bytes[..bytes.len() - 1], 64), Err(BadFootage::Short(2)));
        assert_eq!(walked(&bytes[..20], 64), Err(BadFootage::Head));
        let body = pieces(CAMERA, AT, 3, Digest::ZERO).1[2].1.len();
        // Only the last fragment's pictures are gone: a part. Its mark too: another digest.
        assert_eq!(walked(&bytes[..bytes.len() - body], 64).unwrap().digest, digest);
        assert_ne!(walked(&bytes[..bytes.len() - body - MARK], 64).unwrap().digest, digest);
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0u8..8, step in 1usize..3000) {
            let (mut bytes, digest) = recording(CAMERA, AT, 3, Digest::ZERO);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(!walked(&bytes, step).is_ok_and(|found| found.digest == digest));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), keep in 0usize..3000, step in 1usize..500) {
            let (mut begun, _) = recording(CAMERA, AT, 3, Digest::ZERO);
            begun.truncate(keep);
            begun.extend_from_slice(&bytes);
            let _ = walked(&begun, step);
            let _ = walked(&bytes, step);
        }
    }
}
