//! Writes the draft, and holds it against the capture before anybody sees it.

use std::fmt::Write;

use super::{
    Circumstances, Draft, Finding, Label, Unproposable, label_name,
    presses::{Button, Heard},
    structure::{End, Structure},
};
use crate::profile::{Decoded, Profile, Saying, meaning::key_name, source::to_hex};

fn findings(heard: &Heard, s: &Structure, window_ms: u64) -> Vec<Finding> {
    let mut found = vec![match s.end {
        End::Fixed(bytes) => Finding::FixedLength { bytes },
        End::Length { offset, width, add, repeat_at, .. } => {
            Finding::LengthField { offset, width, add, repeat_at }
        }
        End::Tail => Finding::EndsByTail,
        End::Silence => Finding::EndsBySilence,
    }];
    found.push(match &s.sum {
        Some(sum) => {
            Finding::Checksum { kind: sum.kind.name().to_owned(), from: sum.from, to: sum.to, at: sum.at }
        }
        None => Finding::NoChecksum,
    });
    found.push(Finding::KeyByte { offset: s.key, mask: s.mask });
    found.extend(s.changing.iter().map(|offset| Finding::Changing { offset: *offset }));
    if heard.times > 1 {
        found.push(Finding::Repeated { times: heard.times, window_ms });
    }
    if !heard.others.is_empty() {
        found.push(Finding::OtherFrames { count: heard.others.len() });
    }
    found.push(Finding::AddressUnknown);
    found
}

/// A string that TOML takes as it is.
fn quoted(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

fn frame_section(s: &Structure, out: &mut String) -> std::fmt::Result {
    let run = s.constants.iter().enumerate().take_while(|(n, (i, _))| n == i).count();
    let head: Vec<u8> = s.constants[..run].iter().map(|(_, byte)| *byte).collect();
    writeln!(out, "\n[frame]")?;
    if !head.is_empty() {
        writeln!(out, "header = \"{}\"", to_hex(&head))?;
    }
    if s.constants.len() > run {
        let rest: Vec<String> =
            s.constants[run..].iter().map(|(i, b)| format!("{i} = \"{b:02X}\"")).collect();
        writeln!(out, "constants = {{ {} }}", rest.join(", "))?;
    }
    match &s.end {
        End::Fixed(bytes) => writeln!(out, "fixed = {bytes}")?,
        End::Length { offset, width, little, add, repeat_at } => {
            let endian = if *little { ", endian = \"little\"" } else { "" };
            let repeat = repeat_at.map_or(String::new(), |at| format!(", repeat_at = {at}"));
            writeln!(out, "length = {{ offset = {offset}, width = {width}{endian}, add = {add}{repeat} }}")?;
        }
        End::Silence => writeln!(out, "by_gap = true")?,
        End::Tail => {}
    }
    if !s.tail.is_empty() {
        writeln!(out, "tail = \"{}\"", to_hex(&s.tail))?;
    }
    if !matches!(s.end, End::Fixed(_)) {
        writeln!(out, "min = {}\nmax = {}", s.shortest, s.longest)?;
    }
    if let Some(sum) = &s.sum {
        let to = if sum.to == sum.at { String::new() } else { format!(", to = {}", sum.to) };
        let init =
            if sum.init == sum.kind.usual_init() { String::new() } else { format!(", init = {}", sum.init) };
        let endian = if sum.kind.width() == 1 || sum.little == sum.kind.usually_little() {
            String::new()
        } else {
            format!(", endian = \"{}\"", if sum.little { "little" } else { "big" })
        };
        let kind = sum.kind.name();
        writeln!(
            out,
            "checksum = {{ kind = \"{kind}\", from = {}{to}, at = {}{endian}{init} }}",
            sum.from, sum.at
        )?;
    }
    Ok(())
}

/// The value of the key byte under a button.
fn value(button: &Button, s: &Structure) -> u8 {
    button.presses[0][s.key] & s.mask
}

/// The frames of these buttons; what changes from press to press is left open.
fn choices<'a>(buttons: impl Iterator<Item = &'a Button>, s: &Structure) -> String {
    let byte = |i: usize, byte: u8| match (i == s.key, s.mask) {
        (true, 0xF0) => format!("{:X}?", byte >> 4),
        (true, 0x0F) => format!("?{:X}", byte & 0x0F),
        _ if s.open.contains(&i) => "??".to_owned(),
        _ => format!("{byte:02X}"),
    };
    let pattern = |button: &Button| {
        let bytes = button.presses[0].iter().enumerate().map(|(i, b)| byte(i, *b));
        bytes.collect::<Vec<_>>().join(" ")
    };
    buttons.map(pattern).collect::<Vec<_>>().join(" | ")
}

fn text(heard: &Heard, s: &Structure, c: &Circumstances, window_ms: u64) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "# Proposed from a capture. Unconfirmed: every button is pressed once more when the device is paired."
    )?;
    writeln!(out, "profile = {}\ntitle = {}", quoted(&c.name), quoted(&c.title))?;
    writeln!(out, "\n[transport]\nkind = \"serial\"\nbaud = {}", c.baud)?;
    frame_section(s, &mut out)?;
    writeln!(
        out,
        "\n[fields]\nkey = {{ offset = {}{} }}",
        s.key,
        if s.mask == 0xFF { String::new() } else { format!(", mask = \"{:02X}\"", s.mask) }
    )?;
    writeln!(out, "\n[limits]")?;
    if heard.times > 1 {
        writeln!(out, "duplicate_window_ms = {window_ms}")?;
    } else {
        writeln!(out, "debounce_ms = 150")?;
    }
    let grades = || heard.buttons.iter().filter(|b| matches!(b.label, Label::Grade(_)));
    let keys = || heard.buttons.iter().filter(|b| matches!(b.label, Label::Key(_)));
    if grades().next().is_some() {
        writeln!(out, "\n[grade_map]")?;
        for button in grades() {
            if let Label::Grade(grade) = button.label {
                writeln!(out, "\"{:02X}\" = {grade}", value(button, s))?;
            }
        }
    }
    if keys().next().is_some() {
        writeln!(out, "\n[keys]")?;
        for button in keys() {
            if let Label::Key(key) = button.label {
                writeln!(out, "\"{:02X}\" = \"{}\"", value(button, s), key_name(key))?;
            }
        }
    }
    if grades().next().is_some() {
        let when = choices(grades(), s);
        writeln!(
            out,
            "\n[[message]]\nwhen = {{ frame = \"{when}\" }}\nevent = \"Evaluated\"\nraw = \"key\""
        )?;
    }
    if keys().next().is_some() {
        let when = choices(keys(), s);
        writeln!(out, "\n[[message]]\nwhen = {{ frame = \"{when}\" }}\nevent = \"Key\"\nkey = \"key\"")?;
    }
    if !heard.others.is_empty() {
        writeln!(out, "\n[[message]]\nevent = \"Ignore\"")?;
    }
    for button in &heard.buttons {
        let expect = match button.label {
            Label::Grade(grade) => {
                format!("event = \"Evaluated\", raw = {}, grade = {grade}", value(button, s))
            }
            Label::Key(key) => format!("event = \"Key\", key = \"{}\"", key_name(key)),
            Label::Background => continue,
        };
        let (title, hex) =
            (quoted(&format!("captured: {}", label_name(button.label))), to_hex(&button.presses[0]));
        writeln!(out, "\n[[test]]\ntitle = {title}\nhex = \"{hex}\"\nexpect = {{ {expect} }}")?;
    }
    if let Some(sum) = &s.sum {
        let mut frame = heard.buttons[0].presses[0].clone();
        let at = if sum.at < 0 { frame.len() as i64 + sum.at } else { sum.at };
        if let Some(byte) = usize::try_from(at).ok().and_then(|at| frame.get_mut(at)) {
            *byte ^= 0x5A;
        }
        writeln!(
            out,
            "\n[[test]]\ntitle = \"a bad checksum\"\nhex = \"{}\"\nexpect = {{ error = \"checksum\" }}",
            to_hex(&frame)
        )?;
    }
    Ok(out)
}

pub(super) fn write(heard: &Heard, s: &Structure, c: &Circumstances) -> Result<Draft, Unproposable> {
    let wanted = heard.repeat_gap.as_millis() * 3 / 2 + 50;
    let most = heard.press_gap.as_millis() * 2 / 3;
    let window_ms = u64::try_from(wanted.min(most.max(100))).unwrap_or(300);
    let toml = text(heard, s, c, window_ms).map_err(|error| Unproposable::NotVerified(error.to_string()))?;
    let profile =
        Profile::parse("draft", &toml).map_err(|error| Unproposable::NotVerified(error.to_string()))?;
    verify(heard, &profile)?;
    Ok(Draft { toml, profile, findings: findings(heard, s, window_ms) })
}

/// What the draft hears in a frame said by itself.
fn heard_in(profile: &Profile, frame: &[u8]) -> Vec<Label> {
    let mut decoder = profile.decoder();
    decoder.push(frame);
    let decoded = std::iter::from_fn(|| decoder.next_decoded().or_else(|| decoder.next_after_gap()));
    decoded
        .filter_map(|decoded| match decoded {
            Decoded::Frame { frame, .. } => match profile.understand(&frame).saying {
                Saying::Evaluated { raw } => {
                    let grades = profile.grade_map(None)?;
                    grades.grades.get(&raw).copied().flatten().map(Label::Grade)
                }
                Saying::Key { key, .. } => Some(Label::Key(key)),
                _ => None,
            },
            Decoded::Refused { .. } => None,
        })
        .collect()
}

fn verify(heard: &Heard, profile: &Profile) -> Result<(), Unproposable> {
    let wrong = |what: String| Err(Unproposable::NotVerified(what));
    for button in &heard.buttons {
        for frame in &button.presses {
            let said = heard_in(profile, frame);
            if said != [button.label] {
                let said: Vec<String> = said.into_iter().map(label_name).collect();
                return wrong(format!(
                    "{} of {} is read as {said:?}",
                    to_hex(frame),
                    label_name(button.label)
                ));
            }
        }
    }
    for frame in &heard.others {
        let repeats = heard.buttons.iter().any(|button| button.presses.contains(frame));
        if !repeats && !heard_in(profile, frame).is_empty() {
            return wrong(format!("{}, which is no press, is read as one", to_hex(frame)));
        }
    }
    Ok(())
}
