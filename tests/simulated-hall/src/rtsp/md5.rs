//! MD5 (RFC 1321), only because RTSP's Digest authentication is made of it (RFC 2617). Not for anything else.

use md5::{Digest, Md5};

/// The digest in lower-case hexadecimal digits.
pub(super) fn md5_hex(message: &str) -> String {
    data_encoding::HEXLOWER.encode(&Md5::digest(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_1321() {
        for (message, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(md5_hex(message), digest);
        }
    }
}
