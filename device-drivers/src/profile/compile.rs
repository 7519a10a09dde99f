//! From the profile as written to the profile that works; what cannot work is refused with its line.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use toml::Spanned;

use super::{
    Busy, Command, GradeMap, Limits, Param, Poll, Profile, Transport, TransportKind,
    checksum::Kind,
    layout::{Escape, Layout, Size, Sum},
    meaning::{Ack, Field, FieldEnd, KEY_NAMES, Pattern, Rule, Says, Slice, byte_name, key_named},
    source::{
        self, CommandSource, Endian, EscapedChecksum, FieldSource, FrameSource, GradeSource, MessageSource,
        PatternSource, ProfileError, Source, TransportSource, line_of,
    },
    template::{Template, Use},
};

/// Longest frame unless a profile says otherwise.
const USUAL_MAX: usize = 64;
/// No profile may ask for longer frames: what one line can hold in memory is bounded by it.
const MOST: usize = 4096;

/// No wait that a profile asks for is longer: ten minutes.
const MOST_BUSY_MS: u64 = 600_000;

struct Compiler<'a> {
    origin: &'a str,
    text: &'a str,
}

type Outcome<T> = Result<T, ProfileError>;

impl Compiler<'_> {
    fn at<T>(&self, span: &Range<usize>, found: Result<T, String>) -> Outcome<T> {
        found.map_err(|what| ProfileError {
            origin: self.origin.to_owned(),
            line: Some(line_of(self.text, span.start)),
            what,
        })
    }

    fn grades(&self, map: &Spanned<BTreeMap<String, GradeSource>>) -> Outcome<GradeMap> {
        let grades = map.get_ref().iter().map(|(raw, grade)| {
            let byte = byte_name(raw).ok_or_else(|| {
                format!("grade map: {raw:?} is not one byte in hexadecimal, such as \"03\"")
            })?;
            let grade = match grade {
                GradeSource::Grade(grade @ 1..=5) => Some(*grade as u8),
                GradeSource::Word(word) if word == "none" => None,
                GradeSource::Grade(other) => {
                    return Err(format!(
                        "grade map: {raw} leads to {other}; grades are 1 to 5 (5 = 非常满意) or \"none\""
                    ));
                }
                GradeSource::Word(word) => {
                    return Err(format!("grade map: {raw} leads to {word:?}; grades are 1 to 5 or \"none\""));
                }
            };
            Ok((byte, grade))
        });
        let grades = self.at(&map.span(), grades.collect::<Result<BTreeMap<_, _>, String>>())?;
        if grades.values().all(Option::is_none) {
            return self.at(&map.span(), Err("the grade map gives no grade at all".to_owned()));
        }
        Ok(GradeMap { grades })
    }
}

fn transport(source: &TransportSource) -> Result<Transport, String> {
    let kind = match source.kind {
        source::TransportKind::Serial => TransportKind::Serial,
        source::TransportKind::TcpClient => TransportKind::TcpClient,
        source::TransportKind::TcpServer => TransportKind::TcpServer,
        source::TransportKind::HidReport => TransportKind::HidReport,
    };
    if source.bits.is_some_and(|bits| bits != 8)
        || source.stop.is_some_and(|stop| stop != 1)
        || source.parity.as_deref().is_some_and(|parity| parity != "none")
    {
        return Err("only 8 data bits, no parity and 1 stop bit can be set; no other is known in this trade"
            .to_owned());
    }
    Ok(Transport {
        kind,
        baud: source.baud.unwrap_or(9600),
        gap: Duration::from_millis(source.gap_ms.unwrap_or(50).clamp(1, 10_000)),
        turnaround: Duration::from_millis(source.rs485_turnaround_ms.unwrap_or(10).min(1000)),
    })
}

fn layout(source: &FrameSource, inbound: bool) -> Result<Layout, String> {
    let kinds = [source.length.is_some(), source.fixed.is_some(), source.by_gap];
    let size = match (&source.length, source.fixed) {
        _ if kinds.iter().filter(|k| **k).count() > 1 => {
            return Err("a frame has a length field, or a fixed length, or ends by a gap; only one of them"
                .to_owned());
        }
        (Some(length), _) => {
            if !matches!(length.width, 1 | 2) {
                return Err("length.width is 1 or 2 bytes".to_owned());
            }
            let places = [length.offset, length.repeat_at.unwrap_or(0)];
            if places.iter().any(|place| *place > MOST)
                || !(-(MOST as i64)..=MOST as i64).contains(&length.add)
            {
                return Err(format!("length: offset, add and repeat_at are at most {MOST}"));
            }
            Size::Length {
                offset: length.offset,
                width: length.width,
                little: length.endian == Endian::Little,
                add: length.add,
                repeat_at: length.repeat_at,
            }
        }
        (_, Some(0)) => return Err("fixed = 0: a frame has at least one byte".to_owned()),
        (_, Some(fixed)) => Size::Fixed(fixed),
        _ if source.by_gap => Size::Gap,
        _ if !source.tail.0.is_empty() => Size::Tail,
        // Outgoing frames are as long as they are written.
        _ if !inbound => Size::Gap,
        _ => {
            return Err(
                "nothing says where a frame ends: give length, fixed, tail or by_gap = true".to_owned()
            );
        }
    };
    if size == Size::Tail && source.header.0.is_empty() && inbound && source.max.is_none() {
        return Err("a frame with only a tail needs max, the longest it can be".to_owned());
    }
    let constants = source.constants.iter().map(|(at, bytes)| {
        let offset = at.parse().ok().filter(|at: &usize| *at < MOST);
        let at = offset.ok_or_else(|| format!("constants: {at:?} is not an offset from 0"))?;
        Ok(bytes.0.iter().enumerate().map(move |(i, byte)| (at + i, *byte)).collect::<Vec<_>>())
    });
    let constants = constants.collect::<Result<Vec<_>, String>>()?.concat();
    let escape = match &source.escape {
        None => None,
        Some(escape) => {
            let [marker] = escape.marker.0[..] else { return Err("escape.marker is one byte".to_owned()) };
            let pairs = escape.map.iter().map(|(from, to)| match (byte_name(from), &to.0[..]) {
                (Some(from), [to]) => Ok((from, *to)),
                _ => Err(format!(
                    "escape.map: {from:?} and its code are one byte each, such as \"A5\" = \"05\""
                )),
            });
            let map = pairs.collect::<Result<Vec<_>, String>>()?;
            if !map.iter().any(|(from, _)| *from == marker) {
                return Err("escape.map must protect the marker itself too".to_owned());
            }
            if map.iter().map(|(_, to)| to).collect::<BTreeSet<_>>().len() != map.len() {
                return Err("escape.map: two bytes have the same code".to_owned());
            }
            Some(Escape { marker, map })
        }
    };
    let checksum = source.checksum.as_ref().map(|sum| Sum {
        kind: sum.kind,
        init: sum.init.unwrap_or_else(|| sum.kind.usual_init()),
        from: sum.from,
        to: sum.to,
        at: sum.at,
        little: sum.endian.map_or(sum.kind.usually_little(), |endian| endian == Endian::Little),
        escaped: source.escape.as_ref().is_some_and(|e| e.checksum == EscapedChecksum::After),
    });
    let floor = shortest(source, &size, checksum.as_ref());
    let max = match size {
        Size::Fixed(fixed) => fixed,
        _ => source.max.unwrap_or(USUAL_MAX),
    };
    let min = source.min.unwrap_or(floor).max(floor);
    if max > MOST {
        return Err(format!("max = {max}: frames of more than {MOST} bytes are not read"));
    }
    if min > max {
        return Err(format!("a frame has at least {min} bytes by its parts, but at most {max}"));
    }
    Ok(Layout {
        header: source.header.0.clone(),
        constants,
        size,
        tail: source.tail.0.clone(),
        min,
        max,
        checksum,
        escape,
    })
}

/// The fewest bytes that the parts of a frame take.
fn shortest(source: &FrameSource, size: &Size, checksum: Option<&Sum>) -> usize {
    let sum = checksum.map_or(0, |sum| sum.width());
    let mut least = (source.header.0.len() + source.tail.0.len() + sum).max(1);
    if let Size::Length { offset, width, repeat_at, .. } = size {
        least = least.max(repeat_at.unwrap_or(*offset).max(*offset) + width);
    }
    least
}

fn field(source: &FieldSource) -> Result<Field, String> {
    let end = match (source.end, source.width) {
        (Some(_), Some(_)) => return Err("a field has an end or a width, not both".to_owned()),
        (Some(0), None) => FieldEnd::Whole,
        (Some(end), None) => FieldEnd::At(end),
        (None, width) => FieldEnd::Width(width.unwrap_or(1)),
    };
    if source.mask.as_ref().is_some_and(|mask| mask.0.is_empty()) {
        return Err("a mask has at least one byte".to_owned());
    }
    Ok(Field {
        from: source.offset,
        end,
        little: source.endian == Endian::Little,
        mask: source.mask.as_ref().map(|mask| mask.0.clone()),
        bcd: source.bcd,
    })
}

fn checked_template(text: &str, layout: &Layout) -> Result<Template, String> {
    let template = Template::parse(text)?;
    if template.uses_length() && layout.length_bytes(layout.max).is_none() {
        return Err("{len} is used, but the frame has no length field that can say its longest".to_owned());
    }
    if template.uses_checksum() && layout.checksum.is_none() {
        return Err("{checksum} is used, but the frame has no checksum".to_owned());
    }
    Ok(template)
}

fn ack(text: Option<&str>, fields: &BTreeMap<String, Field>, out: &Layout) -> Result<Ack, String> {
    let text = match text {
        None | Some("none") => return Ok(Ack::None),
        Some("echo") => return Ok(Ack::Echo),
        Some(text) => text,
    };
    let template = checked_template(text, out).map_err(|why| format!("ack: {why}"))?;
    if let Some(name) = template.names().keys().find(|name| !fields.contains_key(*name)) {
        return Err(format!("ack: there is no field {name}; {}", known(fields.keys())));
    }
    Ok(Ack::Template(template))
}

fn known<'a>(names: impl Iterator<Item = &'a String>) -> String {
    format!("there are: {}", names.cloned().collect::<Vec<_>>().join(", "))
}

fn rule(source: &MessageSource, fields: &BTreeMap<String, Field>, out: &Layout) -> Result<Rule, String> {
    let when = source.when.iter().map(|(name, pattern)| {
        let (name, pattern) = match pattern {
            PatternSource::Bytes(text) => (name.as_str(), Pattern::parse(text)?),
            PatternSource::Count(n) => (name.strip_suffix("_len").unwrap_or(name), Pattern::Count(*n, *n)),
            PatternSource::Range([least, most]) => {
                (name.strip_suffix("_len").unwrap_or(name), Pattern::Count(*least, *most))
            }
        };
        let name = if name == "len" || name == "frame" { "" } else { name };
        if !name.is_empty() && !fields.contains_key(name) {
            return Err(format!("when: there is no field {name}; {}", known(fields.keys())));
        }
        Ok((name.to_owned(), pattern))
    });
    let when = when.collect::<Result<Vec<_>, String>>()?;
    let slice = |text: &str| {
        let slice = Slice::parse(text)?;
        if fields.contains_key(&slice.field) {
            Ok(slice)
        } else {
            Err(format!("there is no field {}; {}", slice.field, known(fields.keys())))
        }
    };
    let part = |name: &str, text: &Option<String>| match text {
        Some(text) => slice(text),
        None => Err(format!("event = {:?} needs {name} = \"a part of a field\"", source.event)),
    };
    let says = match source.event.as_str() {
        "Evaluated" => Says::Evaluated { raw: part("raw", &source.raw)? },
        "Key" => Says::Key {
            key: part("key", &source.key)?,
            digits: source.digits.as_deref().map(slice).transpose()?,
        },
        "Ignore" => Says::Ignore,
        "" => return Err("event = \"\": Evaluated, Key, Ignore, or a name of your own".to_owned()),
        name => {
            let values = source.values.iter().map(|(name, text)| Ok((name.clone(), slice(text)?)));
            Says::Report { name: name.to_owned(), values: values.collect::<Result<_, String>>()? }
        }
    };
    let acks = source.acks.iter().map(|(name, text)| Ok((name.clone(), ack(Some(text), fields, out)?)));
    Ok(Rule {
        when,
        says,
        ack: ack(source.ack.as_deref(), fields, out)?,
        acks: acks.collect::<Result<_, String>>()?,
    })
}

fn command(source: &CommandSource, out: &Layout) -> Result<Command, String> {
    let template = checked_template(&source.hex, out)?;
    let uses = template.names();
    if let Some(name) = source.params.keys().find(|name| !uses.contains_key(*name)) {
        return Err(format!("params: the frame has no {{{name}}}"));
    }
    let params = uses.into_iter().map(|(name, used)| {
        let given = source.params.get(&name);
        let (text, ceiling) = match used {
            Use::Number(most) => (false, most),
            Use::Text => (true, 0),
        };
        let max = given.and_then(|p| p.max).unwrap_or(ceiling);
        if !text && max > ceiling {
            return Err(format!("params.{name}: max = {max} does not fit; at most {ceiling}"));
        }
        let min = given.and_then(|p| p.min).unwrap_or(0);
        let max_bytes = given.and_then(|p| p.max_bytes).unwrap_or(out.max);
        Ok((name, Param { text, min, max, max_bytes, default: given.and_then(|p| p.default.clone()) }))
    });
    let params = params.collect::<Result<BTreeMap<_, _>, String>>()?;
    let busy = source.busy.as_ref().map(|busy| Busy {
        until: busy.until.clone(),
        wait: Duration::from_millis(busy.ms.min(MOST_BUSY_MS)),
        per_byte: Duration::from_millis(busy.per_byte_ms.min(1000)),
    });
    Ok(Command {
        name: source.name.clone(),
        title: source.title.clone(),
        purpose: source.purpose,
        params,
        busy,
        template,
    })
}

/// Compiles a profile; its embedded tests are not run here.
pub(super) fn compile(origin: &str, text: &str, source: &Source) -> Outcome<Profile> {
    let c = Compiler { origin, text };
    let named = source.profile.get_ref();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if named.is_empty() || named.len() > 64 || !named.chars().all(plain) {
        let why = format!("profile = {named:?}: a name of at most 64 small letters, digits and hyphens");
        return c.at(&source.profile.span(), Err(why));
    }
    let transport = c.at(&source.profile.span(), transport(&source.transport))?;
    let frame = match &source.frame {
        Some(frame) => Some(Arc::new(c.at(&frame.span(), layout(frame.get_ref(), true))?)),
        None => None,
    };
    let out = match (&source.out, &frame) {
        (Some(out), _) => Arc::new(c.at(&out.span(), layout(out.get_ref(), false))?),
        (None, Some(frame)) => Arc::clone(frame),
        (None, None) => {
            let why = "neither [frame], what the device says, nor [out], what is said to it, is there";
            return c.at(&source.profile.span(), Err(why.to_owned()));
        }
    };
    let mut fields = BTreeMap::new();
    for (name, source) in &source.fields {
        if ["", "len", "frame", "checksum"].contains(&name.as_str()) || Kind::named(name).is_some() {
            return c
                .at(&source.span(), Err(format!("{name:?} has a meaning of its own; choose another name")));
        }
        fields.insert(name.clone(), c.at(&source.span(), field(source.get_ref()))?);
    }
    let mut rules = Vec::new();
    for message in &source.message {
        rules.push(c.at(&message.span(), rule(message.get_ref(), &fields, &out))?);
    }
    let mut commands: Vec<Command> = Vec::new();
    for written in &source.command {
        let command = c.at(&written.span(), command(written.get_ref(), &out))?;
        if commands.iter().any(|known| known.name == command.name) {
            return c.at(&written.span(), Err(format!("there are two commands {}", command.name)));
        }
        commands.push(command);
    }
    let grade_map = source.grade_map.as_ref().map(|map| c.grades(map)).transpose()?;
    let mut grade_maps = BTreeMap::new();
    for (name, map) in &source.grade_maps {
        grade_maps.insert(name.clone(), c.grades(map)?);
    }
    if let (None, Some(at)) =
        (&grade_map, rules.iter().position(|rule| matches!(rule.says, Says::Evaluated { .. })))
    {
        let why = "an evaluator needs a [grade_map]: write the maker's; it counts only once a person has pressed every key";
        return c.at(&source.message[at].span(), Err(why.to_owned()));
    }
    let mut keys = BTreeMap::new();
    for (byte, name) in &source.keys {
        let key = byte_name(byte).ok_or_else(|| format!("keys: {byte:?} is not one byte in hexadecimal"));
        let byte = c.at(&name.span(), key)?;
        let names = || KEY_NAMES.map(|(name, _)| name).join(", ");
        let key = key_named(name.get_ref())
            .ok_or_else(|| format!("keys: {} is not a key; there are: {}", name.get_ref(), names()));
        keys.insert(byte, c.at(&name.span(), key)?);
    }
    let mut polls = Vec::new();
    for poll in &source.poll {
        let p = poll.get_ref();
        if !commands.iter().any(|command| command.name == p.command) {
            return c.at(&poll.span(), Err(format!("poll: there is no command {}", p.command)));
        }
        polls.push(Poll {
            command: p.command.clone(),
            args: p.args.clone(),
            every: Duration::from_millis(p.every_ms.clamp(20, MOST_BUSY_MS)),
            silent_after: Duration::from_millis(p.silent_after_ms.max(p.every_ms)),
        });
    }
    let limits = Limits {
        debounce: source.limits.debounce_ms.map(Duration::from_millis),
        duplicate_window: source.limits.duplicate_window_ms.map(Duration::from_millis),
        max_frames_per_s: source.limits.max_frames_per_s,
        ack_max_delay: source.limits.ack_max_delay_ms.map(Duration::from_millis),
    };
    Ok(Profile {
        name: named.clone(),
        title: source.title.clone(),
        notes: source.notes.clone(),
        transport,
        frame,
        out,
        fields,
        rules,
        keys,
        grade_map,
        grade_maps,
        commands,
        polls,
        limits,
        tests: 0,
    })
}
