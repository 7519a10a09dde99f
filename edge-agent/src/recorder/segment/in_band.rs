//! Parameter sets out of a configuration record, to be put before a key frame: how a clip tells a player that the camera
//! changed what it sends. Sources: ISO/IEC 14496-15, 5.3.3.1 (avcC) and 8.3.3.1 (hvcC).

use super::boxes::SampleEntry;

/// The entry's parameter sets as NAL units, each after its length in four bytes; none where the record is not sound.
pub fn in_band(entry: &SampleEntry) -> Option<Vec<u8>> {
    let record = entry.record.as_ref();
    let mut out = Vec::new();
    let mut at = 0;
    let mut take = |at: &mut usize| -> Option<()> {
        let length: [u8; 2] = *record.get(*at..)?.first_chunk()?;
        let length = u16::from_be_bytes(length);
        let unit = record.get(*at + 2..*at + 2 + usize::from(length))?;
        out.extend_from_slice(&u32::from(length).to_be_bytes());
        out.extend_from_slice(unit);
        *at += 2 + unit.len();
        Some(())
    };
    match entry.names()?.0 {
        b"avc1" => {
            at += 5;
            for mask in [0x1f, 0xff] {
                let count = record.get(at)? & mask;
                at += 1;
                for _ in 0..count {
                    take(&mut at)?;
                }
            }
        }
        _ => {
            let arrays = *record.get(22)?;
            at += 23;
            for _ in 0..arrays {
                let count = u16::from_be_bytes(*record.get(at + 1..)?.first_chunk()?);
                at += 3;
                for _ in 0..count {
                    take(&mut at)?;
                }
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn entry(codec: &str, record: &[u8]) -> SampleEntry {
        SampleEntry {
            codec: codec.into(),
            width: 1,
            height: 1,
            record: Bytes::copy_from_slice(record),
            sound: None,
        }
    }

    #[test]
    fn both_records_give_their_sets() {
        let avc = [1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 1, 0x68];
        assert_eq!(in_band(&entry("avc1.4d401f", &avc)).unwrap(), [0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x68]);
        let mut hevc = vec![0; 22];
        hevc.extend_from_slice(&[2, 0xa0, 0, 1, 0, 1, 0x40, 0xa1, 0, 1, 0, 2, 0x42, 1]);
        assert_eq!(in_band(&entry("hvc1.1", &hevc)).unwrap(), [0, 0, 0, 1, 0x40, 0, 0, 0, 2, 0x42, 1]);
        assert_eq!(in_band(&entry("avc1.4d401f", &avc[..9])), None);
    }

    proptest! {
        #[test]
        fn any_record_is_read_or_refused(record in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = in_band(&entry("avc1.4d401f", &record));
            let _ = in_band(&entry("hvc1.1", &record));
        }
    }
}
