//! SOAP messages, as far as ONVIF needs them: written by hand, read leniently. Pure.
//!
//! Cameras differ in prefixes, namespaces and order, so elements are found by their local names. Bounded: no DTD, a
//! limit of size and of elements.

use std::fmt::Write as _;

use data_encoding::BASE64;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use roxmltree::{Document, Node, ParsingOptions};

/// Answers larger than this are refused.
pub const ANSWER_LIMIT: usize = 512 * 1024;
/// Elements and texts an answer may have.
const NODE_LIMIT: u32 = 20_000;
/// So many prefixes that nobody declared are put up with.
const UNDECLARED: usize = 4;
/// A text longer than this is no name, number or address.
const TEXT_LIMIT: usize = 2048;

/// A parsed answer.
pub struct Answer<'a>(Document<'a>);

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No XML, or more than any camera sends.
    #[error("the answer is no XML that can be read: {0}")]
    Unreadable(String),
    /// The camera refuses the user or password.
    #[error("the camera refuses the user or password")]
    NotAuthorized,
    /// The camera answers with a fault.
    #[error("the camera answers with a fault: {0}")]
    Fault(String),
}

impl<'a> Answer<'a> {
    /// Parses a text.
    ///
    /// # Errors
    /// It is no XML, has a document type, or is too large.
    pub fn parse(text: &'a str) -> Result<Self, AnswerError> {
        if text.len() > ANSWER_LIMIT {
            return Err(AnswerError::Unreadable(format!("{} bytes", text.len())));
        }
        let options = ParsingOptions { nodes_limit: NODE_LIMIT, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text.trim_start_matches('\u{feff}').trim(), options)
            .map_err(|e| AnswerError::Unreadable(e.to_string()))?;
        Ok(Self(document))
    }

    /// The fault it carries, if it does.
    pub fn fault(&self) -> Option<AnswerError> {
        let fault = self.all("Fault").next()?;
        let codes: Vec<_> = within(fault, "Value").chain(within(fault, "faultcode")).map(text_of).collect();
        let local = |code: &String| code.rsplit(':').next().unwrap_or_default().to_owned();
        if codes.iter().any(|c| {
            matches!(
                local(c).as_str(),
                "NotAuthorized" | "FailedAuthentication" | "SenderNotAuthorized" | "InvalidSecurity"
            )
        }) {
            return Some(AnswerError::NotAuthorized);
        }
        let reason = within(fault, "Text")
            .chain(within(fault, "faultstring"))
            .map(text_of)
            .find(|t| !t.is_empty())
            .or_else(|| codes.last().cloned())
            .unwrap_or_else(|| "no reason given".to_owned());
        // ipycam and some cameras say it in the reason only.
        let said = reason.to_ascii_lowercase();
        if ["not authorized", "notauthorized", "unauthorized", "authentication failed", "authority failure"]
            .iter()
            .any(|words| said.contains(words))
        {
            return Some(AnswerError::NotAuthorized);
        }
        Some(AnswerError::Fault(reason.chars().filter(|c| !c.is_control()).take(200).collect()))
    }

    /// All elements of this local name.
    pub fn all<'d>(&'d self, name: &'d str) -> impl Iterator<Item = Node<'d, 'a>> {
        within(self.0.root(), name)
    }

    /// Text of the first element of this local name; empty if there is none.
    pub fn text(&self, name: &str) -> String {
        self.all(name).next().map(text_of).unwrap_or_default()
    }
}

/// The text with the prefixes declared that it uses without saying so, as ipycam does in its PTZ answers. Elements are
/// found by their local names, so that it does not matter what they stand for.
pub fn declared(mut text: String) -> String {
    for _ in 0..UNDECLARED {
        if text.len() > ANSWER_LIMIT {
            break;
        }
        let options = ParsingOptions { nodes_limit: NODE_LIMIT, ..ParsingOptions::default() };
        let parsed = Document::parse_with_options(text.trim_start_matches('\u{feff}').trim(), options);
        let Err(roxmltree::Error::UnknownNamespace(prefix, _)) = parsed else { break };
        let root = text
            .match_indices('<')
            .find(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_alphabetic() || c == '_'));
        let name_ends = |(at, _): (usize, &str)| {
            text[at..].find(|c: char| c.is_whitespace() || c == '>' || c == '/').map(|length| at + length)
        };
        let Some(at) = root.and_then(name_ends) else { break };
        text.insert_str(at, &format!(" xmlns:{prefix}=\"urn:undeclared\""));
    }
    text
}

/// All elements below `node` of this local name.
pub fn within<'d, 'a>(node: Node<'d, 'a>, name: &'d str) -> impl Iterator<Item = Node<'d, 'a>> {
    node.descendants().filter(move |n| n.is_element() && n.tag_name().name() == name)
}

/// The first element along a path of local names, each anywhere below the one before.
pub fn find<'d, 'a>(node: Node<'d, 'a>, path: &[&'d str]) -> Option<Node<'d, 'a>> {
    let mut at = node;
    for name in path {
        at = at.descendants().skip(1).find(|n| n.is_element() && n.tag_name().name() == *name)?;
    }
    Some(at)
}

/// Trimmed text of an element, without control characters, bounded.
pub fn text_of(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().chars().filter(|c| !c.is_control()).take(TEXT_LIMIT).collect()
}

/// Text for an element's content.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// `Base64(SHA1(nonce ‖ created ‖ password))` of the UsernameToken profile 1.0.
pub fn password_digest(nonce: &[u8], created: &str, password: &str) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(nonce);
    context.update(created.as_bytes());
    context.update(password.as_bytes());
    BASE64.encode(context.finish().as_ref())
}

/// The security header. `created` is the camera's time.
pub fn security_header(user: &str, password: &str, nonce: &[u8], created: jiff::Timestamp) -> String {
    let created = created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut header = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        header,
        "<wsse:Security s:mustUnderstand=\"1\" \
         xmlns:wsse=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd\" \
         xmlns:wsu=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\">\
         <wsse:UsernameToken><wsse:Username>{}</wsse:Username><wsse:Password Type=\"http://docs.oasis-open.org/wss/2004/\
         01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest\">{}</wsse:Password><wsse:Nonce EncodingType=\
         \"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary\">{}\
         </wsse:Nonce><wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>",
        escaped(user),
        password_digest(nonce, &created, password),
        BASE64.encode(nonce),
    );
    header
}

/// A request: `header` and `body` are XML of ours.
pub fn envelope(header: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">\
         <s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// docs/reference/devices.md D, "WS-Security UsernameToken".
    #[test]
    fn prefixes_that_nobody_declared_are_put_up_with() {
        let text = "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"x\"><s:Body><ptz:R/><tptz:Preset token=\"1\"/></s:Body></s:Envelope>";
        assert!(Answer::parse(text).is_err());
        let mended = declared(text.to_owned());
        assert_eq!(Answer::parse(&mended).unwrap().all("Preset").count(), 1);
        for text in ["", "<", "<a:b", "<a:b>", "no xml", "<a><b:c/></a>x<"] {
            let _ = declared(text.to_owned());
        }
        let sound = "<a xmlns:b=\"x\"><b:c/></a>";
        assert_eq!(declared(sound.to_owned()), sound);
    }

    #[test]
    fn password_digest_vector() {
        let nonce = BASE64.decode(b"LKqI6G/AikKCQrN0zqZFlg==").unwrap();
        assert_eq!(
            password_digest(&nonce, "2010-09-16T07:50:45Z", "userpassword"),
            "tuOSpGlFlIXsozq4HFNeeGeFLEI="
        );
        let at = "2010-09-16T07:50:45.9Z".parse().unwrap();
        let header = security_header("a<b", "userpassword", &nonce, at);
        assert!(header.contains("tuOSpGlFlIXsozq4HFNeeGeFLEI=") && header.contains("2010-09-16T07:50:45Z"));
        assert!(header.contains("a&lt;b") && !header.contains("userpassword"));
        assert!(Answer::parse(&envelope(&header, "<x/>")).is_ok());
    }

    #[test]
    fn faults_of_several_makers() {
        let refused = [
            "<e:Envelope xmlns:e='x'><e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>ter:NotAuthorized\
             </e:Value></e:Subcode></e:Code><e:Reason><e:Text>Sender not authorized</e:Text></e:Reason></e:Fault></e:Body>\
             </e:Envelope>",
            "<Envelope><Body><Fault><faultcode>wsse:FailedAuthentication</faultcode></Fault></Body></Envelope>",
            "<Envelope><Body><Fault><Reason><Text>Not Authorized</Text></Reason></Fault></Body></Envelope>",
        ];
        for text in refused {
            assert_eq!(Answer::parse(text).unwrap().fault(), Some(AnswerError::NotAuthorized), "{text}");
        }
        let other = "<E><Fault><Code><Value>s:Receiver</Value></Code><Reason><Text>Action not supported</Text></Reason></Fault></E>";
        assert_eq!(
            Answer::parse(other).unwrap().fault(),
            Some(AnswerError::Fault("Action not supported".into()))
        );
        assert_eq!(Answer::parse("<E><Body/></E>").unwrap().fault(), None);
    }

    #[test]
    fn what_no_camera_sends_is_refused() {
        for text in ["", "HTTP/1.1", "<a><b></a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"] {
            assert!(matches!(Answer::parse(text).map(|_| ()), Err(AnswerError::Unreadable(_))), "{text}");
        }
        let many = format!("<a>{}</a>", "<b/>".repeat(NODE_LIMIT as usize));
        assert!(Answer::parse(&many).is_err());
        let deep = format!("{}{}", "<a>".repeat(9000), "</a>".repeat(9000));
        let _ = Answer::parse(&deep).map(|a| a.text("nothing"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[<>/a-c =\"'&;!?\\[\\]-]{0,200}") {
            if let Ok(answer) = Answer::parse(&text) {
                let _fault = answer.fault();
            }
        }

        #[test]
        fn what_is_escaped_comes_back(text in "[^\\p{C}]{0,40}") {
            let xml = format!("<a>{}</a>", escaped(&text));
            prop_assert_eq!(Answer::parse(&xml).unwrap().text("a"), text.trim());
        }
    }
}
