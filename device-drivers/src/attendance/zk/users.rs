//! Who is enrolled: number and name (docs/reference/devices.md A1.7). The password and the card in the same record are
//! passed over, never kept.

use std::fmt;

use bytes::Bytes;
use encoding_rs::{GBK, UTF_8};
use serde::{Deserialize, Serialize};

use super::records::{RecordError, rows};

/// The terminal's code page for names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameEncoding {
    /// Chinese firmware.
    #[default]
    Gbk,
    /// Newer firmware.
    Utf8,
}

impl NameEncoding {
    fn read(self, bytes: &[u8]) -> String {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        let bytes = &bytes[..end];
        let name = match self {
            Self::Gbk => GBK.decode_without_bom_handling(bytes).0,
            Self::Utf8 => UTF_8.decode_without_bom_handling(bytes).0,
        };
        // A field full to its last byte may end in half a character.
        name.trim_end_matches('\u{FFFD}').trim().to_owned()
    }

    /// As many whole characters as fit.
    fn write(self, name: &str, size: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(size);
        for character in name.chars() {
            let text = character.to_string();
            let bytes = match self {
                Self::Gbk => GBK.encode(&text).0.into_owned(),
                Self::Utf8 => text.into_bytes(),
            };
            if out.len() + bytes.len() > size {
                break;
            }
            out.extend(bytes);
        }
        out.resize(size, 0);
        out
    }
}

/// Somebody enrolled.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The terminal's internal index.
    pub index: u16,
    /// The employee's number.
    pub number: String,
    /// The name, empty if the terminal has none.
    pub name: String,
}

impl fmt::Debug for User {
    /// Without the name, which is nobody's concern in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("index", &self.index)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Size of one user record, by firmware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserSize {
    /// Older: number as u32.
    TwentyEight = 28,
    /// Number as text.
    #[default]
    SeventyTwo = 72,
}

/// Reads a joined bulk reply: `u32le total`, then `count` records of 28 or 72 bytes.
///
/// # Errors
/// When sizes do not fit.
pub fn read_users(joined: &Bytes, count: u32, encoding: NameEncoding) -> Result<Vec<User>, RecordError> {
    let (size, body) = rows(joined, count, &[28, 72])?;
    Ok(body.chunks_exact(size).filter_map(|record| read_user(record, encoding)).collect())
}

/// Reads one record of 28 or 72 bytes; `None` for another length.
pub fn read_user(record: &[u8], encoding: NameEncoding) -> Option<User> {
    let index = u16::from_le_bytes([*record.first()?, *record.get(1)?]);
    match record.len() {
        28 => {
            let number = u32::from_le_bytes(record[24..28].try_into().ok()?);
            Some(User { index, number: number.to_string(), name: encoding.read(&record[8..16]) })
        }
        72 => Some(User {
            index,
            number: super::records::text(&record[48..72]),
            name: encoding.read(&record[11..35]),
        }),
        _ => None,
    }
}

/// Writes one record as a terminal keeps it. A number that is not numeric is written as the index in the short form.
pub fn write_user(user: &User, size: UserSize, encoding: NameEncoding) -> Vec<u8> {
    let mut out = user.index.to_le_bytes().to_vec();
    match size {
        UserSize::TwentyEight => {
            out.extend([0; 6]);
            out.extend(encoding.write(&user.name, 8));
            out.extend([0, 0, 0, 0, 0, 1, 0, 0]);
            let number = user.number.parse().unwrap_or(u32::from(user.index));
            out.extend(number.to_le_bytes());
        }
        UserSize::SeventyTwo => {
            out.extend([0; 9]);
            out.extend(encoding.write(&user.name, 24));
            out.extend([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
            out.extend(super::records::padded_number(&user.number));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    fn hex(s: &str) -> Vec<u8> {
        HEXLOWER.decode(s.replace(' ', "").as_bytes()).unwrap()
    }

    /// User vectors of docs/reference/devices.md A1.9, name 张三 in GBK.
    #[test]
    fn vectors() {
        let long = format!(
            "0100 00 {} d5c5c8fd {} 00000000 01 {} 31303031 {}",
            "00".repeat(8),
            "00".repeat(20),
            "00".repeat(8),
            "00".repeat(20)
        );
        for (wire, size) in [
            (
                "0100 00 0000000000 d5c5c8fd00000000 00000000 00 01 0000 e9030000".to_owned(),
                UserSize::TwentyEight,
            ),
            (long, UserSize::SeventyTwo),
        ] {
            let user = User { index: 1, number: "1001".into(), name: "张三".into() };
            assert_eq!(read_user(&hex(&wire), NameEncoding::Gbk), Some(user.clone()));
            assert_eq!(write_user(&user, size, NameEncoding::Gbk), hex(&wire));
        }
    }

    #[test]
    fn names_in_either_code_page_and_cut_in_the_middle_of_a_character() {
        let user = User { index: 7, number: "12".into(), name: "欧阳娜娜".into() };
        for encoding in [NameEncoding::Gbk, NameEncoding::Utf8] {
            let wire = write_user(&user, UserSize::SeventyTwo, encoding);
            assert_eq!(read_user(&wire, encoding), Some(user.clone()));
        }
        let wire = write_user(&user, UserSize::TwentyEight, NameEncoding::Utf8);
        assert_eq!(read_user(&wire, NameEncoding::Utf8).unwrap().name, "欧阳");
        let mut wire = write_user(&user, UserSize::TwentyEight, NameEncoding::Utf8);
        wire[14..16].copy_from_slice(&[0xE5, 0xA8]);
        assert_eq!(read_user(&wire, NameEncoding::Utf8).unwrap().name, "欧阳");
    }

    #[test]
    fn passwords_do_not_come_through() {
        let mut wire = write_user(
            &User { index: 1, number: "1".into(), name: "A".into() },
            UserSize::SeventyTwo,
            NameEncoding::Gbk,
        );
        wire[3..11].copy_from_slice(b"88664422");
        let user = read_user(&wire, NameEncoding::Gbk).unwrap();
        assert_eq!((user.number.as_str(), user.name.as_str()), ("1", "A"));
        assert!(!format!("{user:?}").contains("88664422"));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0u32..10) {
            for encoding in [NameEncoding::Gbk, NameEncoding::Utf8] {
                let _ = read_user(&bytes, encoding);
                let _ = read_users(&bytes.clone().into(), count, encoding);
            }
        }
    }
}
