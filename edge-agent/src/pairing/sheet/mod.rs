//! The acceptance sheet of a signed visit, as PDF: what was set up, the five points with their photos, who signed, and the digest by
//! which the sheet can be held against the log. Pure: bytes from facts.

mod pdf;

use std::collections::BTreeMap;

use control_protocol::{UtcMillis, WindowId};
use jiff::tz::TimeZone;
use serde_json::Value;

use self::pdf::{Drawing, HEIGHT, Jpeg, Rgb, WIDTH};
use super::{
    log::Read,
    visit::{POINTS, Step},
};
use crate::{
    connection::Line,
    devices::{Connection, Role},
};

const MARGIN: f32 = 48.0;
const INNER: f32 = WIDTH - 2.0 * MARGIN;
/// The lowest line above the foot.
const FLOOR: f32 = 64.0;
const INK: Rgb = (0.13, 0.15, 0.19);
const FAINT: Rgb = (0.42, 0.46, 0.52);
const RULE: Rgb = (0.82, 0.85, 0.88);
const BAND: Rgb = (0.94, 0.96, 0.98);
const HEAD: Rgb = (0.09, 0.33, 0.58);
const GOOD: Rgb = (0.07, 0.47, 0.25);
const BAD: Rgb = (0.75, 0.15, 0.13);

/// What the sheet says of the hall.
pub(super) struct About {
    /// The hall's id.
    pub(super) hall: String,
    /// Its name.
    pub(super) hall_name: String,
    /// Its windows' names.
    pub(super) windows: BTreeMap<WindowId, String>,
    /// Its local time.
    pub(super) time_zone: TimeZone,
    /// The program's version.
    pub(super) version: &'static str,
}

/// A photo of the visit.
pub(super) struct Photo {
    pub(super) id: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) jpeg: Vec<u8>,
}

struct Sheet<'a> {
    d: Drawing<'a>,
    page: usize,
    y: f32,
}

impl<'a> Sheet<'a> {
    fn room(&mut self, height: f32) {
        if self.d.count() == 0 || self.y - height < FLOOR {
            self.page = self.d.count();
            self.d.page();
            self.y = HEIGHT - MARGIN;
        }
    }

    fn section(&mut self, text: &str) {
        self.room(60.0);
        self.y -= 26.0;
        self.d.fill(self.page, (MARGIN, self.y - 2.0, 3.0, 13.0), HEAD);
        self.d.text(self.page, MARGIN + 9.0, self.y, 12.0, HEAD, text);
        self.y -= 10.0;
    }

    /// A row of cells, each wrapped in its column.
    fn row(&mut self, columns: &[f32], cells: &[(&str, Rgb)], band: bool) {
        let size = 9.0;
        let wrapped: Vec<Vec<String>> = cells
            .iter()
            .zip(columns)
            .map(|((text, _), width)| self.d.wrap(text, size, width - 10.0))
            .collect();
        let lines = wrapped.iter().map(Vec::len).max().unwrap_or(1);
        let height = lines as f32 * 13.0 + 8.0;
        self.room(height);
        if band {
            self.d.fill(self.page, (MARGIN, self.y - height, INNER, height), BAND);
        }
        let mut x = MARGIN;
        for ((lines, (_, colour)), width) in wrapped.iter().zip(cells).zip(columns) {
            for (i, line) in lines.iter().enumerate() {
                self.d.text(self.page, x + 5.0, self.y - 14.0 - i as f32 * 13.0, size, *colour, line);
            }
            x += width;
        }
        self.y -= height;
        self.d.line(self.page, (MARGIN, self.y), (MARGIN + INNER, self.y), 0.5, RULE);
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Keypad => "叫号键盘",
        Role::Evaluator => "评价器",
        Role::Display => "窗口屏",
        Role::Voice => "语音",
        Role::Ticket => "取号机",
        Role::Printer => "打印机",
        Role::Attendance => "考勤机",
        Role::Camera => "摄像机",
        Role::Modem => "短信模块",
        Role::Sensor => "传感器",
    }
}

fn point(code: &str) -> &'static str {
    match code {
        "quantity" => "数量",
        "place" => "点位",
        "picture" => "图像",
        "display" => "界面",
        _ => "链路",
    }
}

fn way(connection: &Connection) -> String {
    match connection {
        Connection::BusKeypad { port, baud, address }
        | Connection::BusEvaluator { port, baud, address, .. } => {
            format!("串口 {} · {baud} · 地址 {address}", port.display())
        }
        Connection::PrinterTap { port, baud, .. } => format!("打印口 {} · {baud}", port.display()),
        Connection::Zk { address, .. } => format!("网络 {address}"),
        Connection::Camera { main, sub, .. } => {
            let second = sub.as_ref().map(|sub| format!("\n辅 {sub}")).unwrap_or_default();
            format!("主 {main}{second}")
        }
        Connection::Push { serial, .. } => format!("终端主动连接 · 序列号 {serial}"),
        Connection::Fingerprint { line, .. }
        | Connection::Printer { line, .. }
        | Connection::Modem { line, .. } => carrier(line),
        Connection::Profile { line, address: Some(address), .. } => {
            format!("{} · 地址 {address}", carrier(line))
        }
        Connection::Profile { line, .. } => carrier(line),
    }
}

fn carrier(line: &Line) -> String {
    match line {
        Line::Serial { port, baud } => format!("串口 {} · {baud}", port.display()),
        Line::Tcp { address } => format!("网络 {address}"),
        Line::TcpListen { listen, .. } => format!("设备连接到 {listen}"),
        Line::Keyboard { port } => format!("键盘 {}", port.display()),
    }
}

fn case(case: &str) -> &'static str {
    match case {
        "replaced" => "更换",
        "moved" => "移装",
        "cloned" => "同号并存",
        _ => "新装",
    }
}

/// Draws the sheet.
///
/// # Errors
/// The font cannot be used.
pub(super) fn make(about: &About, read: &Read, photos: &[Photo]) -> Result<Vec<u8>, String> {
    let visit = &read.visit;
    let local = |at: UtcMillis| {
        at.timestamp().to_zoned(about.time_zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let mut s = Sheet { d: Drawing::new()?, page: 0, y: 0.0 };
    s.room(0.0);
    s.y -= 20.0;
    let title = "设备安装验收单";
    let wide = s.d.width(title, 22.0);
    s.d.text(0, (WIDTH - wide) / 2.0, s.y, 22.0, INK, title);
    s.y -= 18.0;
    let under = format!("{}  {}", about.hall_name, about.hall);
    let wide = s.d.width(&under, 10.0);
    s.d.text(0, (WIDTH - wide) / 2.0, s.y, 10.0, FAINT, &under);
    s.y -= 12.0;
    s.d.line(0, (MARGIN, s.y), (MARGIN + INNER, s.y), 1.2, HEAD);
    s.y -= 4.0;

    let window = visit.window.as_ref().map_or_else(
        || "大厅".to_owned(),
        |w| about.windows.get(w).map_or_else(|| w.to_string(), |name| format!("{name}（{w}）")),
    );
    let closed = visit.closed.as_ref().map_or_else(String::new, |c| local(c.at));
    let half = [70.0, INNER / 2.0 - 70.0, 70.0, INNER / 2.0 - 70.0];
    let opened = local(visit.opened_at);
    s.row(&half, &[("单号", FAINT), (&visit.id, INK), ("窗口", FAINT), (&window, INK)], false);
    s.row(&half, &[("开始", FAINT), (&opened, INK), ("完成", FAINT), (&closed, INK)], false);
    let approver = visit.approver.as_deref().unwrap_or("—");
    s.row(&half, &[("技术员", FAINT), (&visit.technician, INK), ("批准人", FAINT), (approver, INK)], false);

    s.section("一、设备");
    let columns = [26.0, 122.0, 50.0, 40.0, 169.0, INNER - 407.0];
    let head = [
        ("序", FAINT),
        ("位置", FAINT),
        ("类型", FAINT),
        ("方式", FAINT),
        ("连接", FAINT),
        ("按键确认", FAINT),
    ];
    s.row(&columns, &head, true);
    for (i, bound) in visit.bound.iter().enumerate() {
        let confirmed = match (bound.hardware.kind, bound.confirmed) {
            (Role::Evaluator, true) => {
                let map = read.steps.iter().rev().find_map(|(kept, _)| match &kept.step {
                    Step::GradesConfirmed { position, map } if *position == bound.position => Some(map),
                    _ => None,
                });
                let map = map.map(|map| {
                    let pairs: Vec<String> =
                        map.iter().map(|(raw, grade)| format!("{raw}={grade}")).collect();
                    pairs.join(" ")
                });
                map.unwrap_or_else(|| "已确认".into())
            }
            (Role::Evaluator, false) => "沿用".into(),
            _ => "—".into(),
        };
        let (n, place, connection) =
            ((i + 1).to_string(), bound.position.to_string(), way(&bound.connection));
        let serial = bound.hardware.serial.as_ref().map(|s| format!("\n序列号 {s}")).unwrap_or_default();
        let connection = connection + &serial;
        let cells = [
            (n.as_str(), INK),
            (place.as_str(), INK),
            (role(bound.hardware.kind), INK),
            (case(&bound.case), INK),
            (connection.as_str(), INK),
            (confirmed.as_str(), INK),
        ];
        s.row(&columns, &cells, false);
    }
    if visit.bound.is_empty() {
        s.row(&[INNER], &[("本次未安装或更换设备", FAINT)], false);
    }

    s.section("二、测试");
    let columns = [132.0, 150.0, INNER - 282.0];
    s.row(&columns, &[("位置", FAINT), ("测试业务编号", FAINT), ("收到", FAINT)], true);
    for test in &visit.tests {
        let heard: Vec<String> = test
            .heard
            .iter()
            .map(|h| match h.grade {
                Some(grade) => format!("{}×{}（{grade} 级）", h.raw, h.count),
                None => format!("{}×{}", h.raw, h.count),
            })
            .collect();
        let heard = match &test.audit {
            Some(streams) => audited(streams),
            None if heard.is_empty() => format!("{} 次读数", test.readings),
            None => heard.join("、"),
        };
        let (place, case) = (test.position.to_string(), test.case_id.to_string());
        s.row(&columns, &[(&place, INK), (&case, INK), (&heard, INK)], false);
    }
    if visit.tests.is_empty() {
        s.row(&[INNER], &[("未做测试", FAINT)], false);
    }

    s.section("三、五点验收");
    let columns = [60.0, 60.0, INNER - 180.0, 60.0];
    s.row(&columns, &[("项目", FAINT), ("结果", FAINT), ("说明", FAINT), ("照片", FAINT)], true);
    for code in POINTS {
        let Some(Some(judgement)) = visit.points.get(code) else { continue };
        let (result, colour) = match judgement.result.as_str() {
            "pass" => ("合格", GOOD),
            "fail" => ("不合格", BAD),
            _ => ("不适用", FAINT),
        };
        let photo = judgement.photo.as_deref().map_or("—".to_owned(), |p| format!("图 {}", &p[1..]));
        s.row(
            &columns,
            &[(point(code), INK), (result, colour), (&judgement.note, INK), (&photo, INK)],
            false,
        );
    }

    signatures(&mut s, read, &local);
    pictures(&mut s, &captions(read, photos));
    foot(&mut s, about, read);
    s.d.finish(&format!("设备安装验收单 {} {}", about.hall, visit.id))
}

fn signatures(s: &mut Sheet<'_>, read: &Read, local: &impl Fn(UtcMillis) -> String) {
    let Some(signed) = &read.visit.signed else { return };
    s.section("四、签字");
    s.room(70.0);
    s.y -= 40.0;
    let half = INNER / 2.0;
    let at = local(signed.at);
    let hall = signed.hall_name.as_deref().unwrap_or("");
    for (i, (label, name)) in [("技术员", signed.name.as_str()), ("大厅", hall)].into_iter().enumerate()
    {
        let x = MARGIN + i as f32 * half;
        s.d.text(s.page, x + 5.0, s.y, 9.0, FAINT, label);
        s.d.text(s.page, x + 48.0, s.y, 15.0, INK, name);
        s.d.line(s.page, (x + 44.0, s.y - 5.0), (x + half - 20.0, s.y - 5.0), 0.6, INK);
        if !name.is_empty() {
            s.d.text(s.page, x + 44.0, s.y - 18.0, 8.0, FAINT, &at);
        }
    }
    s.y -= 26.0;
}

/// What a camera's streams were found to be, a line each.
fn audited(streams: &Value) -> String {
    let line = |stream: &Value| {
        let name = if stream["role"] == "main" { "主码流" } else { "辅码流" };
        if stream["report"].is_null() {
            return format!("{name}：无法播放");
        }
        let m = &stream["report"]["measured"];
        let codec = if m["codec"] == "h265" { "H.265" } else { "H.264" };
        let mut parts = vec![format!("{codec} {}×{}", m["width"], m["height"])];
        parts.extend(m["fps"].as_f64().map(|fps| format!("{fps:.1} 帧/秒")));
        parts.extend(m["kbps"].as_f64().map(|kbps| format!("{kbps:.0} kbit/s")));
        parts.extend(
            m["clock_offset_s"]
                .as_f64()
                .map(|off| format!("时钟 {:+.1} 秒", (off * 10.0).round() / 10.0 + 0.0)),
        );
        let count = stream["report"]["findings"].as_array().map_or(0, Vec::len);
        let verdict = match stream["report"]["verdict"].as_str() {
            Some("good") => "良好".to_owned(),
            Some("usable") => format!("可用，{count} 项建议"),
            _ => format!("不合用，{count} 项问题"),
        };
        format!("{name}：{verdict}（{}）", parts.join("，"))
    };
    streams.as_array().into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

/// The photos of the sheet with what stands below them. Of a camera that was bound the last still is one; others of its
/// stills, and those of cameras that were not bound, are left to the log.
fn captions<'a>(read: &Read, photos: &'a [Photo]) -> Vec<(&'a Photo, String)> {
    let stills: BTreeMap<&str, &str> = read
        .steps
        .iter()
        .filter_map(|(kept, _)| match &kept.step {
            Step::Identify { candidate, photo: Some(photo), .. } => {
                Some((photo.as_str(), candidate.as_str()))
            }
            _ => None,
        })
        .collect();
    let last = |photo: &str, candidate: &str| {
        let number = |id: &str| id[1..].parse::<u32>().unwrap_or(0);
        stills.iter().all(|(other, of)| *of != candidate || number(other) <= number(photo))
    };
    let bound = |candidate: &str| {
        read.visit.bound.iter().find(|b| b.candidate.as_deref() == Some(candidate)).map(|b| &b.position)
    };
    let caption = |photo: &'a Photo| {
        let number = format!("图 {}", &photo.id[1..]);
        let Some(candidate) = stills.get(photo.id.as_str()) else { return Some((photo, number)) };
        let position = bound(candidate).filter(|_| last(&photo.id, candidate))?;
        Some((photo, format!("{number} · 摄像机画面 {position}")))
    };
    let mut captioned: Vec<(&Photo, String)> = photos.iter().filter_map(caption).collect();
    captioned.sort_by_key(|(photo, _)| photo.id[1..].parse::<u32>().unwrap_or(0));
    captioned
}

fn pictures<'a>(s: &mut Sheet<'a>, photos: &[(&'a Photo, String)]) {
    if photos.is_empty() {
        return;
    }
    let (wide, high) = ((INNER - 14.0) / 2.0, 180.0);
    // The heading stays with the first of them.
    s.room(high + 70.0);
    s.section("五、照片");
    s.y -= 4.0;
    for pair in photos.chunks(2) {
        s.room(high + 24.0);
        for (i, (photo, caption)) in pair.iter().enumerate() {
            let scale = (wide / photo.width as f32).min(high / photo.height as f32);
            let (w, h) = (photo.width as f32 * scale, photo.height as f32 * scale);
            let x = MARGIN + i as f32 * (wide + 14.0);
            let jpeg = Jpeg { width: photo.width, height: photo.height, bytes: &photo.jpeg };
            s.d.picture(s.page, (x, s.y - h, w, h), jpeg);
            s.d.text(s.page, x, s.y - h - 12.0, 8.0, FAINT, caption);
        }
        s.y -= high + 24.0;
    }
}

fn foot(s: &mut Sheet<'_>, about: &About, read: &Read) {
    let last = read.steps.last().map(|(kept, digest)| (kept.n, digest.to_string()));
    let (n, digest) = last.unwrap_or_default();
    let count = s.d.count();
    for page in 0..count {
        s.d.line(page, (MARGIN, 50.0), (MARGIN + INNER, 50.0), 0.5, RULE);
        let whole = if read.whole { "日志完整" } else { "日志不完整" };
        let left = format!("{whole}，末步 {n}，SHA-256 {digest}");
        s.d.text(page, MARGIN, 38.0, 6.5, FAINT, &left);
        let right = format!("Hallwatch {} · 第 {} / {count} 页", about.version, page + 1);
        let wide = s.d.width(&right, 6.5);
        s.d.text(page, MARGIN + INNER - wide, 28.0, 6.5, FAINT, &right);
    }
}
