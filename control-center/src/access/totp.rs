//! One-time codes by time (RFC 6238): HMAC-SHA-1, 30 seconds, six digits, which is what every authenticator has. Pure:
//! time and the secret come in.

use control_protocol::UtcMillis;
use data_encoding::BASE32_NOPAD;
use ring::hmac;

/// How long a code is shown, s.
pub(super) const STEP: i64 = 30;
/// Codes of so many steps before and after are taken: clocks differ, and people type.
const DRIFT: i64 = 1;
/// The length of a secret in bytes (RFC 4226 section 4 recommends 20).
pub(super) const SECRET: usize = 20;

/// The code of a time step.
pub(super) fn code(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let at = usize::from(bytes.last().copied().unwrap_or_default() & 0x0f);
    let four = bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).unwrap_or_default();
    (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000
}

/// The time step that `typed` is the code of, near `now`; blanks in it count for nothing. Who keeps the newest step taken
/// and takes none up to it takes no code twice.
pub(super) fn step_of(secret: &[u8], typed: &str, now: UtcMillis) -> Option<i64> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let typed: u32 = digits.parse().ok()?;
    let step = now.0.div_euclid(1000 * STEP);
    (step - DRIFT..=step + DRIFT).find(|step| code(secret, *step) == typed)
}

/// The secret as people type it.
pub(super) fn base32(secret: &[u8]) -> String {
    BASE32_NOPAD.encode(secret)
}

/// What an authenticator scans.
pub(super) fn uri(name: &str, secret: &[u8]) -> String {
    let mut escaped = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    format!("otpauth://totp/Hallwatch:{escaped}?secret={}&issuer=Hallwatch", base32(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        // RFC 6238 appendix B, SHA-1, the last six of its eight digits.
        let secret = b"12345678901234567890";
        for (seconds, wanted) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let now = UtcMillis(seconds * 1000);
            assert_eq!(step_of(secret, wanted, now), Some(seconds / 30), "{seconds}");
            assert_eq!(step_of(secret, wanted, now.plus(30_000)), Some(seconds / 30));
            assert_eq!(step_of(secret, wanted, now.plus(90_000)), None);
        }
        assert_eq!(step_of(secret, "287 082", UtcMillis(59_000)), Some(1));
        for typed in ["", "28708", "2870822", "28708x", "+87082"] {
            assert_eq!(step_of(secret, typed, UtcMillis(59_000)), None, "{typed}");
        }
        assert_eq!(
            uri("王 a", secret),
            "otpauth://totp/Hallwatch:%E7%8E%8B%20a?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Hallwatch"
        );
    }
}
