//! The tests in a profile, run whenever it is loaded.
//!
//! A test is bytes and what they say (and the acknowledgement they get), or a command with its values and its bytes.

use std::ops::Range;

use bytes::Bytes;
use toml::Value;

use super::{
    Profile, Saying,
    compile::compile,
    decoder::Decoded,
    meaning::{Meaning, key_name},
    source::{self, ProfileError, TestSource, line_of, to_hex},
};

/// How one test went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// Line of the test in the file.
    pub line: usize,
    /// What it tests.
    pub title: String,
    /// What went wrong.
    pub failure: Option<String>,
}

/// Reads a profile and runs its tests, all of them.
///
/// # Errors
/// What makes it unreadable. Failed tests are in the outcomes.
pub fn check(origin: &str, text: &str) -> Result<(Profile, Vec<TestOutcome>), ProfileError> {
    let whole = |what: String| ProfileError { origin: origin.to_owned(), line: None, what };
    if text.len() > super::MAX_FILE {
        return Err(whole(format!("{} bytes are too many for a profile", text.len())));
    }
    let source = source::read(origin, text)?;
    let mut profile = compile(origin, text, &source)?;
    if source.test.is_empty() {
        return Err(whole(
            "a profile without a [[test]] is not loaded: nothing would show that it is right".to_owned(),
        ));
    }
    profile.tests = source.test.len();
    let outcomes = source.test.iter().map(|test| {
        let span: Range<usize> = test.span();
        let test = test.get_ref();
        let title = match (&test.title, &test.command) {
            (title, _) if !title.is_empty() => title.clone(),
            (_, Some(command)) => command.clone(),
            _ => to_hex(&test.hex.0),
        };
        TestOutcome { line: line_of(text, span.start), title, failure: run(&profile, test).err() }
    });
    let outcomes = outcomes.collect();
    Ok((profile, outcomes))
}

fn run(profile: &Profile, test: &TestSource) -> Result<(), String> {
    match (&test.command, &test.expect) {
        (Some(command), None) => {
            let got =
                profile.encode(command, &test.args).map_err(|error| format!("command {command}: {error}"))?;
            equal("the command", &test.hex.0, &got)
        }
        (None, Some(expected)) => {
            let decoded = decode(profile, &test.hex.0);
            let Some(first) = decoded.first() else { return Err("the bytes give nothing at all".to_owned()) };
            match (first, expected.get("error")) {
                (Decoded::Refused { why, .. }, Some(Value::String(error))) if why.name() == error => Ok(()),
                (Decoded::Refused { raw, why, .. }, Some(error)) => {
                    Err(format!("{} is refused for {why}, not for {error}", to_hex(raw)))
                }
                (Decoded::Refused { raw, why, .. }, None) => {
                    Err(format!("{} is refused: {why}", to_hex(raw)))
                }
                (Decoded::Frame { raw, .. }, Some(error)) => {
                    Err(format!("{} is taken, though {error} was expected", to_hex(raw)))
                }
                (Decoded::Frame { frame, raw, .. }, None) => {
                    equal("the frame", &test.hex.0, raw)?;
                    let meaning = profile.understand(frame);
                    says(profile, test, &meaning)?;
                    acknowledges(profile, test, &meaning, frame, raw)
                }
            }
        }
        _ => Err("a test has hex and expect, or command, args and hex".to_owned()),
    }
}

fn decode(profile: &Profile, bytes: &[u8]) -> Vec<Decoded> {
    let mut decoder = profile.decoder();
    decoder.push(bytes);
    std::iter::from_fn(|| decoder.next_decoded().or_else(|| decoder.next_after_gap())).collect()
}

fn equal(what: &str, expected: &[u8], got: &[u8]) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!("{what} is {}, expected {}", to_hex(got), to_hex(expected)))
}

/// What a frame says, by the names that `expect` uses.
pub(super) fn told(profile: &Profile, meaning: &Meaning, map: Option<&str>) -> Vec<(String, Value)> {
    let text = |t: &str| Value::String(t.to_owned());
    let mut told = vec![("address".to_owned(), Value::Integer(i64::from(meaning.address)))];
    match &meaning.saying {
        Saying::Evaluated { raw } => {
            told.push(("event".to_owned(), text("Evaluated")));
            told.push(("raw".to_owned(), Value::Integer(i64::from(*raw))));
            let grade = profile.grade_map(map).and_then(|map| map.grades.get(raw).copied().flatten());
            told.push(("grade".to_owned(), grade.map_or(text("none"), |g| Value::Integer(i64::from(g)))));
        }
        Saying::Key { digits, key } => {
            told.push(("event".to_owned(), text("Key")));
            told.push(("digits".to_owned(), text(digits)));
            told.push(("key".to_owned(), Value::String(key_name(*key))));
        }
        Saying::Report { name, values } => {
            told.push(("event".to_owned(), text(name)));
            told.extend(values.iter().map(|(name, value)| {
                let value = match value {
                    crate::reading::ReportValue::Number(n) => {
                        Value::Integer(i64::try_from(*n).unwrap_or(i64::MAX))
                    }
                    crate::reading::ReportValue::Bytes(bytes) => Value::String(to_hex(bytes)),
                };
                (name.clone(), value)
            }));
        }
        Saying::Ignored => told.push(("event".to_owned(), text("Ignore"))),
        Saying::Unmatched => told.push(("event".to_owned(), text("unmatched"))),
    }
    told
}

fn says(profile: &Profile, test: &TestSource, meaning: &Meaning) -> Result<(), String> {
    let map = test.grade_map.as_deref();
    if map.is_some() && profile.grade_map(map).is_none() {
        return Err(format!("there is no grade map {}", map.unwrap_or_default()));
    }
    let told = told(profile, meaning, map);
    for (name, expected) in test.expect.iter().flatten() {
        let got = told.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        if got != Some(expected) {
            let got = got.map_or("nothing".to_owned(), Value::to_string);
            return Err(format!("{}: {name} is {got}, expected {expected}", to_hex(&test.hex.0)));
        }
    }
    Ok(())
}

fn acknowledges(
    profile: &Profile,
    test: &TestSource,
    meaning: &Meaning,
    frame: &[u8],
    raw: &Bytes,
) -> Result<(), String> {
    let Some(expected) = &test.ack else { return Ok(()) };
    let form = test.ack_form.as_deref();
    if form.is_some_and(|form| !profile.ack_forms().contains(form)) {
        return Err(format!("there is no form of acknowledgement {}", form.unwrap_or_default()));
    }
    let got = profile.acknowledge(meaning, frame, raw, form).unwrap_or_default();
    let expected = match expected.as_str() {
        "none" => Vec::new(),
        "echo" => raw.to_vec(),
        text => source::hex(text).ok_or_else(|| format!("ack = {text:?} is not bytes in hexadecimal"))?,
    };
    equal("the acknowledgement", &expected, &got)
}
