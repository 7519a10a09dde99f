//! A verdict in plain words, in Chinese and in English: what is proven, and what is not.

use std::fmt::Write;

use control_protocol::UtcMillis;

use super::{
    key::PublicKey,
    manifest::{Manifest, State},
    verify::{Fault, Report},
};

/// The language of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// 简体中文.
    Chinese,
    /// English.
    English,
}

impl Language {
    /// The language that the environment asks for, by the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set.
    pub fn of_environment(value: impl Fn(&str) -> Option<String>) -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| value(name).filter(|v| !v.is_empty()));
        if set.is_some_and(|locale| locale.to_ascii_lowercase().starts_with("zh")) {
            Self::Chinese
        } else {
            Self::English
        }
    }

    fn pick<'a>(self, chinese: &'a str, english: &'a str) -> &'a str {
        if self == Self::Chinese { chinese } else { english }
    }
}

impl std::str::FromStr for Language {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "zh" | "zh-cn" | "zh_cn" => Ok(Self::Chinese),
            "en" => Ok(Self::English),
            _ => Err("the languages are zh-CN and en".to_owned()),
        }
    }
}

/// A fingerprint in groups of four, as people compare it.
pub fn fingerprint(key: &PublicKey) -> String {
    let digits = key.fingerprint().to_string();
    let groups: Vec<&str> = (0..16).filter_map(|at| digits.get(at * 4..at * 4 + 4)).collect();
    groups.join(" ")
}

/// Text from a package, for a terminal: no control characters, and not endless.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn time(at: UtcMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// The verdict in words, to be printed.
pub fn words(report: &Report, language: Language) -> String {
    let mut out = String::new();
    let zh = language == Language::Chinese;
    // Writing to a text does not fail.
    let mut line = |text: String| _ = writeln!(out, "{text}");
    if report.intact() {
        line(language.pick("完好：一个字节也没有改动。", "INTACT: not one byte was changed.").to_owned());
        let missing = report.manifest.iter().flat_map(|manifest| &manifest.recordings);
        let missing = missing.filter(|recording| recording.state == State::Missing).count();
        match (missing, zh) {
            (0, _) => {}
            (_, true) => line(format!("但不完整：有 {missing} 段录像不在包内，见下。")),
            (_, false) => {
                line(format!("But incomplete: {missing} recording(s) are not in it, as said below."))
            }
        }
    } else {
        line(language.pick("不完好：", "NOT INTACT:").to_owned());
        report.faults.iter().for_each(|fault| line(format!("  - {}", plain(&fault_words(fault, zh)))));
        if report.more_faults > 0 {
            line(format!("  - {} {}", language.pick("另有", "and more:"), report.more_faults));
        }
    }
    line(String::new());
    signer(report, zh, &mut line);
    if let Some(manifest) = &report.manifest {
        said(manifest, zh, &mut line);
    }
    line(String::new());
    if report.intact() {
        proven(report, zh, &mut line);
    } else {
        line(
            language
                .pick(
                    "什么也没有证明：请勿将此包作为证据。",
                    "Nothing is proven: do not use this package as evidence.",
                )
                .to_owned(),
        );
    }
    out
}

fn signer(report: &Report, zh: bool, line: &mut impl FnMut(String)) {
    let Some(key) = &report.signer else {
        return line(if zh { "签名：无效" } else { "Signer: none that is valid" }.to_owned());
    };
    let print = fingerprint(key);
    line(match (report.trusted, zh) {
        (Some(true), true) => format!("签名者：所信任的中心，指纹 {print}"),
        (Some(true), false) => format!("Signer: the trusted centre, fingerprint {print}"),
        (Some(false), true) => format!("签名者：不是所信任的中心，指纹 {print}"),
        (Some(false), false) => format!("Signer: NOT the trusted centre, fingerprint {print}"),
        (None, true) => format!(
            "签名者：未知，指纹 {print}\n        任何人都可以用自己的密钥签名。请向导出该包的中心核对指纹，或加上 --trust 再校验。"
        ),
        (None, false) => format!(
            "Signer: unknown, fingerprint {print}\n        Anybody can sign with a key of their own. Ask the centre that exported it for its fingerprint, or give it \
             with --trust."
        ),
    });
}

/// What the signer says in the manifest.
fn said(manifest: &Manifest, zh: bool, line: &mut impl FnMut(String)) {
    let case = &manifest.case;
    let export = &manifest.export;
    let (id, hall) = (case.case_id, plain(&case.hall_name));
    let (by, reason, at) = (plain(&export.by), plain(&export.reason), time(export.at));
    let (from, to) = (time(manifest.span.from), time(manifest.span.to));
    if zh {
        line(format!("办件：  {id}，{hall}"));
        line(format!("导出：  {by}，{at}，理由：{reason}"));
        line(format!("时段：  {from} 至 {to}"));
    } else {
        line(format!("Case:   {id}, {hall}"));
        line(format!("Export: by {by} at {at}, because: {reason}"));
        line(format!("Time:   {from} to {to}"));
    }
    for recording in &manifest.recordings {
        let segment = plain(&recording.segment);
        let why = recording.why.as_deref().map(plain).unwrap_or_default();
        match (recording.state, zh) {
            (State::Original, _) => {}
            (State::Altered, true) => line(format!("被改动：录像 {segment}：{why}")),
            (State::Altered, false) => line(format!("ALTERED: recording {segment}: {why}")),
            (State::Missing, true) => line(format!("缺失：  录像 {segment}：{why}")),
            (State::Missing, false) => line(format!("MISSING: recording {segment}: {why}")),
        }
    }
    for gap in &manifest.gaps {
        let (camera, from, why) = (&gap.camera, time(gap.from), plain(&gap.why));
        let to = gap.to.map_or_else(|| "…".to_owned(), time);
        line(if zh {
            format!("未录：  {camera}，{from} 至 {to}：{why}")
        } else {
            format!("NOT RECORDED: {camera}, {from} to {to}: {why}")
        });
    }
}

fn proven(report: &Report, zh: bool, line: &mut impl FnMut(String)) {
    let (recordings, frames, events) = (report.recordings, report.frames, report.events);
    let known = report.trusted == Some(true);
    if zh {
        line("已证明：".to_owned());
        line(format!("  - 包内全部 {} 字节与导出时相同，均由上述密钥的签名覆盖。", report.bytes));
        if recordings > 0 {
            line(format!(
                "  - {recordings} 段录像（{frames} 帧）自边缘代理录制以来未被改动：其摘要与录像进行时送达中心的摘要一致。"
            ));
        }
        line(format!("  - {events} 条事件与厅内日志中的逐字节相同，并处于日志链中原来的位置。"));
        line("未证明：".to_owned());
        if !known {
            line("  - 签名者是谁：未知。因此摘要何时送达中心、何人何时导出，都只是签名者的说法。".to_owned());
        }
        line("  - 摄像机所见是否真实：画面到达边缘代理之前发生的事不在证明之列。".to_owned());
        line("  - 时间是否准确：时间来自厅内时钟，偏差见清单 manifest.json 的 clocks。".to_owned());
        if report.time_unsure > 0 {
            line(format!("  - 其中 {} 个片段的时间当时未经确认。", report.time_unsure));
        }
        if recordings == 0 {
            line("  - 本包不含录像。".to_owned());
        }
    } else {
        line("Proven:".to_owned());
        line(format!(
            "  - All {} bytes in it are those that were exported; the signature of the key above covers each of them.",
            report.bytes
        ));
        if recordings > 0 {
            line(format!(
                "  - {recordings} recording(s) ({frames} frames) are unchanged since the edge agent recorded them: their digests are those \
                 that the centre received while the recording went on."
            ));
        }
        line(format!(
            "  - {events} events are byte for byte those of the hall's journal, each in its place of the chain."
        ));
        line("Not proven:".to_owned());
        if !known {
            line(
                "  - Who signed it: unknown. So when the digests reached the centre, and who exported it when, is only what the \
                 signer says."
                    .to_owned(),
            );
        }
        line(
            "  - That the camera saw reality: what happened before the picture reached the edge agent is outside of this proof."
                .to_owned(),
        );
        line(
            "  - That the times are right: they are those of the hall's clock; how far it was off stands in `clocks` of \
             manifest.json."
                .to_owned(),
        );
        if report.time_unsure > 0 {
            line(format!(
                "  - The time of {} fragment(s) was not confirmed when they were recorded.",
                report.time_unsure
            ));
        }
        if recordings == 0 {
            line("  - There is no recording in this package.".to_owned());
        }
    }
}

fn fault_words(fault: &Fault, zh: bool) -> String {
    if !zh {
        return fault.to_string();
    }
    match fault {
        Fault::Form(why) => format!("包已损坏（{why}）"),
        Fault::Changed(name) => format!("文件 {name} 不是导出时的文件：内容被改动"),
        Fault::Files(name) => format!("文件与清单不符（{name}）：有文件缺失、多出或次序不同"),
        Fault::Manifest(why) => format!("清单无法读取（{why}）"),
        Fault::Signature => "签名与清单和密钥不符".to_owned(),
        Fault::NotTrusted => "签名所用的密钥不是所信任的密钥".to_owned(),
        Fault::Recording { segment, why } => format!("录像 {segment} 在录制之后被改动（{why}）"),
        Fault::NotAsTold { segment, told, found } => {
            format!("录像 {segment} 不是录制时告知中心的那一段：其摘要为 {found}，告知中心的为 {told}")
        }
        Fault::Said { segment, what } => format!("清单所述与录像 {segment} 不符（{what}）"),
        Fault::Event { line, why } => format!("第 {line} 条事件与记录时不同（{why}）"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_environments() {
        let of = |pairs: &'static [(&str, &str)]| {
            Language::of_environment(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8")]), Language::Chinese);
        assert_eq!(of(&[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")]), Language::English);
        assert_eq!(of(&[("LC_ALL", ""), ("LANG", "zh_CN.UTF-8")]), Language::Chinese);
        assert_eq!(of(&[]), Language::English);
        assert_eq!("zh-CN".parse(), Ok(Language::Chinese));
        assert!("fr".parse::<Language>().is_err());
    }

    #[test]
    fn what_a_package_says_cannot_write_to_the_terminal() {
        assert_eq!(plain("a\x1b[31mb\r\nc"), "a[31mbc");
    }
}
