//! Positions from a spreadsheet: XLSX, or CSV in UTF-8 or GB18030. A dry run tells every row's fate; applied is all or nothing.

use std::{
    collections::{BTreeMap, HashMap},
    io::Cursor,
};

use bytes::Bytes;
use calamine::{Data, Reader, Xlsx};
use serde_json::{Value, json};

use super::{
    Pairing, Who,
    act::read_map,
    binding::{self, Decision},
    positions::{GradeMap, Position},
    problem::Problem,
    visit::Hardware,
};
use crate::{
    config::{AckForm, Config, TicketPattern},
    devices::{Connection, Role},
};

/// The largest file, bytes.
pub(super) const MOST_BYTES: usize = 2 * 1024 * 1024;
/// The most that an XLSX may unpack to.
const MOST_UNPACKED: u64 = 32 * 1024 * 1024;
/// The most rows.
const MOST_ROWS: usize = 2000;
/// The longest text of a cell.
const MOST_CELL: usize = 300;

/// The columns by their names, Chinese first.
const COLUMNS: [(&str, &str); 11] = [
    ("窗口", "window"),
    ("角色", "role"),
    ("名称", "name"),
    ("端口", "port"),
    ("波特率", "baud"),
    ("地址", "address"),
    ("应答", "ack_form"),
    ("评价码", "grades"),
    ("凭据", "credential"),
    ("取号格式", "pattern_number"),
    ("取号业务", "pattern_business"),
];

type Cells = BTreeMap<&'static str, String>;

fn bad_file(why: impl Into<String>) -> Problem {
    let why = why.into();
    Problem::new(415, "bad-file", json!({"why": why}), format!("the file cannot be read: {why}"))
}

/// The rows of a file with their line numbers, cells by column.
pub(super) fn rows(kind: Option<&str>, bytes: &[u8]) -> Result<Vec<(usize, Cells)>, Problem> {
    let is_zip = bytes.starts_with(b"PK\x03\x04");
    let table =
        if is_zip || kind.is_some_and(|k| k.contains("spreadsheet")) { xlsx(bytes)? } else { csv(bytes)? };
    let mut lines = table.into_iter();
    let Some((_, head)) = lines.next() else { return Err(bad_file("it is empty")) };
    let mut columns = Vec::new();
    for name in &head {
        let plain = name.trim().to_lowercase();
        let known =
            COLUMNS.iter().find(|(zh, en)| plain == *zh || plain == *en || plain == format!("{zh}/{en}"));
        if known.is_none() && !plain.is_empty() {
            return Err(bad_file(format!(
                "`{name}` is no column: 窗口 角色 名称 端口 波特率 地址 应答 评价码 凭据 取号格式 取号业务"
            )));
        }
        columns.push(known.map(|(_, en)| *en));
    }
    if !columns.contains(&Some("role")) {
        return Err(bad_file("there is no column 角色/role in the first row"));
    }
    let mut found = Vec::new();
    for (line, cells) in lines {
        let cells: Cells = columns
            .iter()
            .zip(cells)
            .filter_map(|(column, cell)| Some(((*column)?, cell.trim().to_owned())))
            .filter(|(_, cell)| !cell.is_empty())
            .collect();
        if cells.is_empty() {
            continue;
        }
        if cells.values().any(|cell| cell.len() > MOST_CELL) {
            return Err(bad_file(format!("line {line}: a cell is longer than {MOST_CELL} bytes")));
        }
        found.push((line, cells));
        if found.len() > MOST_ROWS {
            return Err(bad_file(format!("more than {MOST_ROWS} rows")));
        }
    }
    Ok(found)
}

/// How large the archive's files say they are together: one that unpacks to hundreds of megabytes is no list of positions.
fn unpacked(bytes: &[u8]) -> u64 {
    let entries = bytes.windows(28).filter(|w| w.starts_with(b"PK\x01\x02"));
    entries.map(|w| u64::from(u32::from_le_bytes([w[24], w[25], w[26], w[27]]))).sum()
}

fn xlsx(bytes: &[u8]) -> Result<Vec<(usize, Vec<String>)>, Problem> {
    if unpacked(bytes) > MOST_UNPACKED {
        return Err(bad_file("it unpacks to more than 32 MiB"));
    }
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|e: calamine::XlsxError| bad_file(e.to_string()))?;
    let range = book
        .worksheet_range_at(0)
        .ok_or_else(|| bad_file("it has no sheet"))?
        .map_err(|e| bad_file(e.to_string()))?;
    let first = range.start().map_or(0, |(row, _)| row as usize);
    let text = |cell: &Data| match cell {
        Data::Float(number) if number.fract() == 0.0 => format!("{number:.0}"),
        other => other.to_string(),
    };
    let rows = range.rows().take(MOST_ROWS + 2).enumerate();
    Ok(rows.map(|(i, row)| (first + i + 1, row.iter().map(text).collect())).collect())
}

fn csv(bytes: &[u8]) -> Result<Vec<(usize, Vec<String>)>, Problem> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let (text, _, broken) = encoding_rs::GB18030.decode(bytes);
            if broken {
                return Err(bad_file("neither UTF-8 nor GB18030"));
            }
            text.into_owned()
        }
    };
    if text.contains('\0') {
        return Err(bad_file("it is no text"));
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| bad_file(e.to_string()))?;
        let line = record.position().map_or(0, |p| usize::try_from(p.line()).unwrap_or(0));
        rows.push((line, record.iter().map(str::to_owned).collect()));
        if rows.len() > MOST_ROWS + 1 {
            return Err(bad_file(format!("more than {MOST_ROWS} rows")));
        }
    }
    Ok(rows)
}

/// Reads a file of positions for its form alone; gives how many rows it has.
///
/// # Errors
/// Why it cannot be read.
pub fn read_table(kind: Option<&str>, bytes: &[u8]) -> Result<usize, String> {
    rows(kind, bytes).map(|rows| rows.len()).map_err(|problem| problem.detail)
}

/// What becomes of a row.
pub(super) struct Fate {
    pub(super) line: usize,
    pub(super) fate: &'static str,
    pub(super) position: Option<String>,
    pub(super) problems: Vec<Value>,
    pub(super) put: Option<(Decision, Hardware, Connection, Option<GradeMap>)>,
}

fn problem(code: &str, params: Value) -> Value {
    json!({"code": code, "params": params})
}

fn role(text: &str) -> Option<Role> {
    Role::of(text).or(match text {
        "叫号键盘" | "键盘" => Some(Role::Keypad),
        "评价器" => Some(Role::Evaluator),
        "取号机" => Some(Role::Ticket),
        "考勤机" => Some(Role::Attendance),
        _ => None,
    })
}

/// Reads what a row wants.
fn wanted(config: &Config, cells: &Cells) -> Result<(String, Connection, Option<GradeMap>), Value> {
    let cell = |name: &str| cells.get(name).map(String::as_str);
    let role_text = cell("role").unwrap_or_default();
    let bad_role = || problem("bad-role", json!({"role": role_text}));
    let role = role(role_text).ok_or_else(bad_role)?;
    let hall = &config.hall.id;
    let position = if role == Role::Camera {
        // Found and chosen by its picture, one by one.
        return Err(bad_role());
    } else if role.at_window() {
        let text = cell("window").unwrap_or_default();
        let digits =
            text.rsplit_once("-W").map_or(text, |(_, n)| n).trim_end_matches("号窗口").trim_end_matches('号');
        let window = digits.parse().ok().and_then(|n: u16| config.window_by_number(n));
        let window = window.ok_or_else(|| problem("no-window", json!({"window": text})))?;
        format!("{}-{}", window.id, role.name())
    } else {
        let name = cell("name").unwrap_or_default();
        let position = format!("{hall}-{name}-{}", role.name());
        binding::place(config, &position, role).map_err(|_| problem("bad-name", json!({"name": name})))?;
        position
    };
    let port = || cell("port").filter(|p| p.starts_with('/')).ok_or_else(|| problem("no-port", json!({})));
    let baud = cell("baud").unwrap_or("9600");
    let baud: u32 = baud.parse().map_err(|_| problem("bad-baud", json!({"baud": baud})))?;
    let address_text = cell("address").unwrap_or_default();
    let bad_address = || problem("bad-address", json!({"address": address_text}));
    let connection = match role {
        Role::Keypad => Connection::BusKeypad {
            port: port()?.into(),
            baud,
            address: address_text.parse().map_err(|_| bad_address())?,
        },
        Role::Evaluator => Connection::BusEvaluator {
            port: port()?.into(),
            baud,
            address: address_text.parse().map_err(|_| bad_address())?,
            ack_form: if cell("ack_form").is_some_and(|a| a.eq_ignore_ascii_case("b")) {
                AckForm::B
            } else {
                AckForm::A
            },
        },
        Role::Ticket => {
            let pattern = |name: &str| {
                cell(name).map(str::to_owned).ok_or_else(|| problem("bad-pattern", json!({"column": name})))
            };
            Connection::PrinterTap {
                port: port()?.into(),
                baud,
                pattern: TicketPattern {
                    number: pattern("pattern_number")?,
                    business: pattern("pattern_business")?,
                    waiting: None,
                    time: None,
                },
            }
        }
        Role::Display | Role::Voice | Role::Printer | Role::Modem | Role::Sensor => {
            return Err(problem("bad-role", json!({"role": role_text})));
        }
        Role::Attendance => {
            let with_port = if address_text.contains(':') {
                address_text.to_owned()
            } else {
                format!("{address_text}:4370")
            };
            Connection::Zk {
                address: with_port.parse().map_err(|_| bad_address())?,
                comm_key_credential: cell("credential").map(str::to_owned),
                log_seconds: 600,
                transport: Default::default(),
                set_clock: false,
            }
        }
        Role::Camera => return Err(bad_role()),
    };
    if let Some((field, why)) = connection.fault() {
        let code = match field {
            "baud" => "bad-baud",
            "pattern" => "bad-pattern",
            _ => "no-port",
        };
        return Err(problem(code, json!({"why": why})));
    }
    let map = match cell("grades") {
        None => None,
        Some(text) => {
            let pairs = text.split([' ', ',', '，', ';', '；']).filter(|p| !p.is_empty());
            let read = |pair: &str| {
                let (raw, grade) = pair.split_once(['=', '→', ':'])?;
                Some((raw.to_uppercase(), grade.parse().ok()?))
            };
            let map: Option<BTreeMap<String, u8>> = pairs.map(read).collect();
            let map = map.and_then(|map| read_map(&map, "grades").ok()).filter(|map| !map.is_empty());
            Some(map.ok_or_else(|| problem("bad-grades", json!({"grades": text})))?)
        }
    };
    Ok((position, connection, map))
}

/// What becomes of every row, given what stands.
pub(super) fn fates(config: &Config, all: &[Position], rows: &[(usize, Cells)]) -> Vec<Fate> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut identities: HashMap<String, usize> = HashMap::new();
    let mut lines: Vec<(usize, Connection)> = Vec::new();
    let mut fates = Vec::with_capacity(rows.len());
    // Places that the file itself fills say nothing about what stands there today.
    let filled: Vec<String> = rows
        .iter()
        .filter_map(|(_, cells)| wanted(config, cells).ok())
        .map(|(position, ..)| position)
        .collect();
    let others: Vec<Position> =
        all.iter().filter(|p| !filled.iter().any(|f| *f == p.id.as_str())).cloned().collect();
    for (line, cells) in rows {
        let mut fate = Fate { line: *line, fate: "refuse", position: None, problems: Vec::new(), put: None };
        match wanted(config, cells) {
            Err(problem) => fate.problems.push(problem),
            Ok((position, connection, map)) => {
                fate.position = Some(position.clone());
                if let Some(first) = places.insert(position.clone(), *line) {
                    fate.problems.push(problem("twice", json!({"line": first})));
                }
                if let Some(first) = identities.insert(connection.identity(), *line) {
                    fate.problems.push(problem("address-twice", json!({"line": first})));
                }
                if let Some((first, _)) = lines.iter().find(|(_, other)| !other.shares_line_with(&connection))
                {
                    fate.problems.push(problem("port-in-use", json!({"line": first})));
                }
                lines.push((*line, connection.clone()));
                let kind = connection.role();
                let hardware = Hardware { kind, identity: connection.identity(), serial: None };
                let held = all.iter().find(|p| p.id.as_str() == position);
                let there = held.and_then(|p| p.binding.as_ref());
                let same = there.is_some_and(|b| {
                    b.connection == connection
                        && map.as_ref().is_none_or(|m| b.grades.as_ref().is_some_and(|g| g.map == *m))
                });
                match binding::decide(config, &others, &position, &hardware, &connection, "new") {
                    Err(refused) => fate.problems.push(problem(refused.code, refused.params)),
                    Ok(mut decision) => {
                        decision.why = "import";
                        decision.former =
                            there.map(|b| b.serial.clone().unwrap_or_else(|| b.identity.clone()));
                        if fate.problems.is_empty() {
                            fate.fate = match (there, same) {
                                (_, true) => "same",
                                (Some(_), false) => "change",
                                (None, false) => "add",
                            };
                            if !same {
                                fate.put = Some((decision, hardware, connection, map));
                            }
                        }
                    }
                }
            }
        }
        fates.push(fate);
    }
    fates
}

impl Pairing {
    /// Imports positions, or tells what would become of them.
    pub(super) async fn import(
        &self,
        who: &Who,
        kind: Option<&str>,
        body: Bytes,
        dry_run: bool,
    ) -> Result<Value, Problem> {
        let (config, all, kind) = (self.0.place.config.clone(), self.all(), kind.map(str::to_owned));
        let judged = tokio::task::spawn_blocking(move || {
            rows(kind.as_deref(), &body).map(|rows| fates(&config, &all, &rows))
        });
        let fates = judged.await.map_err(|e| super::positions::StoreFailed(e.to_string()))??;
        let sound = fates.iter().all(|f| f.fate != "refuse");
        let shown: Vec<Value> = fates
            .iter()
            .map(|f| json!({"line": f.line, "fate": f.fate, "position": f.position, "problems": f.problems}))
            .collect();
        let mut applied = false;
        if !dry_run && sound {
            let puts: Vec<_> = fates.into_iter().filter_map(|f| f.put).collect();
            if puts.is_empty() {
                applied = true;
            } else {
                self.put_all(who, puts).await?;
                applied = true;
            }
        }
        Ok(json!({"dry_run": dry_run, "applied": applied, "rows": shown}))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            head in prop_oneof![Just(""), Just("role,port\n"), Just("PK\u{3}\u{4}"), Just("\u{feff}角色\n")],
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let file = [head.as_bytes(), &bytes[..]].concat();
            let _ = read_table(None, &file);
            let _ = read_table(Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), &file);
        }
    }
}
