//! Personal data of citizens in what halls tell: mobile numbers and identity numbers are masked wherever a body is shown,
//! unless somebody who may asks for them and says why, which is written down. The record itself is not changed.

use serde_json::{Value, value::RawValue};

use super::{Action, Person, Place, Scope, audit, may, may_somewhere};
use crate::{Centre, site::problem::Problem, store::Tx};

/// The longest reason, in characters.
const LONGEST_REASON: usize = 500;

/// Whether personal data is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Masked, as always.
    Masked,
    /// In full: somebody who may asked for it and said why.
    Whole,
}

impl Shown {
    /// How a list that `person` asks for is shown; `reason` is why it is to be in full, and is written down.
    pub(crate) async fn list(
        centre: &Centre,
        person: &Person,
        reason: Option<String>,
        object: &'static str,
    ) -> Result<Self, Problem> {
        let Some(reason) = reason else { return Ok(Self::Masked) };
        check_reason(&reason)?;
        may_somewhere(person, Action::SeePersonal)?;
        let (person, now) = (person.clone(), centre.clock.now());
        centre
            .store
            .write("personal data shown", move |tx| {
                audit::audit(tx, &person, "personal.shown", object, &reason, now)
            })
            .await?;
        Ok(Self::Whole)
    }

    /// How one thing at `place` is shown.
    pub(crate) fn one(
        tx: &mut Tx<'_>,
        (person, place): (&Person, &Place),
        reason: &str,
        object: &str,
        now: control_protocol::UtcMillis,
    ) -> Result<Self, Problem> {
        check_reason(reason)?;
        may(person, Action::SeePersonal, place)?;
        audit::audit(tx, person, "personal.shown", object, reason, now)?;
        Ok(Self::Whole)
    }

    /// Where a list reaches: in full no further than the right to it.
    pub(crate) fn scope(self, person: &Person, action: Action) -> Scope {
        Scope::of(person, if self == Self::Whole { Action::SeePersonal } else { action })
    }

    /// The event as it is shown.
    pub(crate) fn event(self, event: Box<RawValue>) -> Box<RawValue> {
        if self == Self::Whole { event } else { mask_event(event) }
    }
}

fn check_reason(reason: &str) -> Result<(), Problem> {
    let length = reason.trim().chars().count();
    if (1..=LONGEST_REASON).contains(&length) {
        Ok(())
    } else {
        Err(Problem::unprocessable(
            "say why personal data is to be shown, in 1 to 500 characters: it is written down",
        ))
    }
}

/// The weights of an identity number's check (GB 11643-1999).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/// A stored event with what is personal in its `body` masked; the very same bytes where nothing is.
fn mask_event(event: Box<RawValue>) -> Box<RawValue> {
    if !event.get().split(|c: char| !c.is_ascii_digit()).any(|run| run.len() >= 11) {
        return event;
    }
    let Ok(mut value) = serde_json::from_str::<Value>(event.get()) else { return event };
    let mut found = false;
    if let Some(body) = value.get_mut("body") {
        mask_value(body, &mut found);
    }
    if !found {
        return event;
    }
    RawValue::from_string(value.to_string()).unwrap_or(event)
}

/// A body with what is personal in it masked.
pub(crate) fn masked(mut body: Value) -> Value {
    mask_value(&mut body, &mut false);
    body
}

fn mask_value(value: &mut Value, found: &mut bool) {
    match value {
        Value::String(text) => {
            if let Some(masked) = mask(text) {
                *text = masked;
                *found = true;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask_value(item, found)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mask_value(field, found)),
        _ => {}
    }
}

/// The text with every mobile and identity number masked; none where there is none.
fn mask(text: &str) -> Option<String> {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let digits = from.bytes().take_while(u8::is_ascii_digit).count();
        let check = from.as_bytes().get(digits).is_some_and(|b| matches!(b, b'X' | b'x'));
        let (run, after) = from.split_at(digits + usize::from(check && digits == 17));
        masked.push_str(before);
        match kept(run) {
            Some((head, tail)) => {
                found = true;
                masked.push_str(&run[..head]);
                masked.extend(std::iter::repeat_n('*', run.len() - head - tail));
                masked.push_str(&run[run.len() - tail..]);
            }
            None => masked.push_str(run),
        }
        rest = after;
    }
    masked.push_str(rest);
    found.then_some(masked)
}

/// How many characters at its beginning and end stay to be seen of a personal number (a run of ASCII); none of another.
fn kept(run: &str) -> Option<(usize, usize)> {
    let mobile = run.len() == 11 && run.starts_with('1') && matches!(run.as_bytes()[1], b'3'..=b'9');
    if mobile {
        return Some((3, 4));
    }
    // Written with the country's code, 86.
    if run.len() == 13 && run.starts_with("861") && matches!(run.as_bytes()[3], b'3'..=b'9') {
        return Some((5, 4));
    }
    (run.len() == 18 && is_identity(run)).then_some((6, 4))
}

fn is_identity(run: &str) -> bool {
    let (digits, check) = run.split_at(17);
    let sum: u32 = digits.bytes().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    let wanted = b"10X98765432"[(sum % 11) as usize];
    let number = |range: std::ops::Range<usize>| run[range].parse::<u32>().unwrap_or_default();
    let born = (1850..=2199).contains(&number(6..10))
        && (1..=12).contains(&number(10..12))
        && (1..=31).contains(&number(12..14));
    born && check.bytes().all(|b| b.to_ascii_uppercase() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mobile_and_identity_numbers_are_masked_and_nothing_else() {
        assert_eq!(mask("电话 13812345678。").as_deref(), Some("电话 138****5678。"));
        assert_eq!(mask("+8613812345678").as_deref(), Some("+86138****5678"));
        // The example of GB 11643-1999.
        assert_eq!(mask("11010519491231002X").as_deref(), Some("110105********002X"));
        assert_eq!(mask("110105 194912310021"), None);
        assert_eq!(mask("110105194912310021"), None);
        for other in
            ["A012", "450103-01-20261122-00042-C", "1795309200000", "12812345678", "138123456789", "工号1007"]
        {
            assert_eq!(mask(other), None, "{other}");
        }
    }

    #[test]
    fn an_event_with_nothing_personal_keeps_its_bytes() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let plain = r#"{"mono_us":13812345678,"body":{"z":"A012","a":1}}"#;
        assert_eq!(mask_event(raw(plain)).get(), plain);
        let told = r#"{"seq":1,"mono_us":13812345678,"body":{"phone":"13812345678","more":["13987654321"]}}"#;
        let shown = mask_event(raw(told));
        assert!(shown.get().contains("138****5678") && shown.get().contains("139****4321"), "{shown}");
        assert!(shown.get().contains("13812345678"), "a number that is no text stays: {shown}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_masked_without_failing(text in "\\PC{0,60}") {
            let _ = mask(&text);
        }
    }
}
