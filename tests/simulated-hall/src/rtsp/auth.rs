//! Who may watch a camera: Digest (RFC 2617, MD5, without qop, as most cameras do it) and Basic.

use serde::Deserialize;

use super::md5::md5_hex;

const REALM: &str = "simulated camera";

/// How a camera asks who is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// It does not ask.
    None,
    /// Basic only.
    Basic,
    /// Digest only.
    #[default]
    Digest,
}

/// One camera's account.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// How it is checked.
    pub authentication: Authentication,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl Credentials {
    /// The `WWW-Authenticate` header's value.
    pub(super) fn challenge(&self, nonce: &str) -> String {
        match self.authentication {
            Authentication::Basic => format!("Basic realm=\"{REALM}\""),
            Authentication::Digest | Authentication::None => {
                format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=MD5")
            }
        }
    }

    /// Whether the `Authorization` header's value answers the challenge with `nonce` for a request of `method`.
    pub(super) fn admits(&self, header: Option<&str>, method: &str, nonce: &str) -> bool {
        let (scheme, rest) = header.and_then(|value| value.trim().split_once(' ')).unwrap_or_default();
        match self.authentication {
            Authentication::None => true,
            Authentication::Basic => {
                let wanted =
                    data_encoding::BASE64.encode(format!("{}:{}", self.user, self.password).as_bytes());
                scheme.eq_ignore_ascii_case("basic") && rest.trim() == wanted
            }
            Authentication::Digest => {
                scheme.eq_ignore_ascii_case("digest")
                    && parameter(rest, "username") == Some(&self.user)
                    && parameter(rest, "nonce") == Some(nonce)
                    && self.response(rest, method, nonce).as_deref() == parameter(rest, "response")
            }
        }
    }

    fn response(&self, header: &str, method: &str, nonce: &str) -> Option<String> {
        let uri = parameter(header, "uri")?;
        let ours = md5_hex(&format!("{}:{REALM}:{}", self.user, self.password));
        let asked = md5_hex(&format!("{method}:{uri}"));
        Some(md5_hex(&format!("{ours}:{nonce}:{asked}")))
    }
}

/// The value of one parameter in `name="value", name=value, …`.
fn parameter<'a>(header: &'a str, wanted: &str) -> Option<&'a str> {
    let mut rest = header;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.find(',').map_or((after, ""), |at| after.split_at(at)),
        };
        if name.trim_matches([' ', ',']).eq_ignore_ascii_case(wanted) {
            return Some(value.trim());
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(authentication: Authentication) -> Credentials {
        Credentials { authentication, user: "viewer".into(), password: "s p:c".into() }
    }

    #[test]
    fn parameters_with_and_without_quotes() {
        let header = r#"username="a, b=c", realm="r",algorithm=MD5 , uri="rtsp://h/x?y=z", response="00""#;
        assert_eq!(parameter(header, "username"), Some("a, b=c"));
        assert_eq!(parameter(header, "algorithm"), Some("MD5"));
        assert_eq!(parameter(header, "uri"), Some("rtsp://h/x?y=z"));
        assert_eq!(parameter(header, "nonce"), None);
    }

    #[test]
    fn digest_is_bound_to_method_and_nonce() {
        let camera = account(Authentication::Digest);
        let response = camera.response(r#"uri="rtsp://h/W01/main""#, "DESCRIBE", "n1").unwrap();
        let header = format!(
            r#"Digest username="viewer", realm="{REALM}", nonce="n1", uri="rtsp://h/W01/main", response="{response}""#
        );
        assert!(camera.admits(Some(&header), "DESCRIBE", "n1"));
        assert!(!camera.admits(Some(&header), "SETUP", "n1"));
        assert!(!camera.admits(Some(&header), "DESCRIBE", "n2"));
        assert!(!camera.admits(None, "DESCRIBE", "n1"));
        let other = Credentials { password: "wrong".into(), ..account(Authentication::Digest) };
        assert!(!other.admits(Some(&header), "DESCRIBE", "n1"));
    }

    #[test]
    fn basic_compares_the_whole_pair() {
        let camera = account(Authentication::Basic);
        assert!(camera.admits(Some("Basic dmlld2VyOnMgcDpj"), "SETUP", ""));
        assert!(!camera.admits(Some("Basic dmlld2VyOg=="), "SETUP", ""));
        assert!(account(Authentication::None).admits(None, "SETUP", ""));
    }
}
