//! The one router of pairing, behind both doors: a question goes in with who asks, an answer comes out (docs/reference/pairing.md).
//! Knows no cookie, no socket and no centre.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use control_protocol::WindowId;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    Pairing, Who, act::read_map, camera_search::CameraSearch, import, log, photo, positions,
    problem::Problem, sheet, visit::Judgement,
};
use crate::devices::Connection;

/// The largest JSON body.
const MAX_JSON: usize = 64 * 1024;
/// The longest a question for live readings waits, seconds.
const MAX_WAIT: u64 = 20;
/// Visits in the list.
const VISITS: u32 = 200;

/// A question.
#[derive(Debug, Clone)]
pub struct Question {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path below the base, without a slash before it.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// What the body is.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What the body is; none: there is none.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// JSON with this status.
    pub fn json(status: u16, value: &Value) -> Self {
        Self { status, content_type: Some("application/json"), body: value.to_string().into() }
    }

    fn nothing() -> Self {
        Self { status: 204, content_type: None, body: Bytes::new() }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let body = problem.document().to_string().into();
        Self { status: problem.status, content_type: Some("application/problem+json"), body }
    }
}

impl Question {
    fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if self.body.len() > MAX_JSON {
            return Err(too_large(MAX_JSON));
        }
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|e| Problem::bad_request(e.to_string()))
    }

    fn asked(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.into_owned())
    }

    fn number(&self, name: &str) -> Result<u64, Problem> {
        self.asked(name)
            .map_or(Ok(0), |text| text.parse().map_err(|_| Problem::bad_request(format!("{name}: a number"))))
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(413, "too-large", json!({"most": most}), format!("at most {most} bytes"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    #[serde(default = "ten")]
    minutes: u32,
    approver: Option<String>,
    window: Option<WindowId>,
}

fn ten() -> u32 {
    super::visit::MINUTES
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extend {
    #[serde(default = "ten")]
    minutes: u32,
    approver: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    window: Option<WindowId>,
}

#[derive(Deserialize)]
#[serde(tag = "source", rename_all = "snake_case", deny_unknown_fields)]
enum Search {
    Bus {
        port: std::path::PathBuf,
        #[serde(default = "usual_baud")]
        baud: u32,
    },
    Attendance {
        addresses: String,
        #[serde(default)]
        credential: Option<String>,
    },
    Camera(CameraSearch),
    Unknown {
        port: std::path::PathBuf,
        #[serde(default = "usual_baud")]
        baud: u32,
    },
    Push {},
    Stated {
        connection: Connection,
    },
}

fn usual_baud() -> u32 {
    9600
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    name: String,
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identify {
    candidate: String,
    how: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identified {
    candidate: String,
    is_it: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bind {
    candidate: String,
    position: String,
    #[serde(default = "new")]
    case: String,
    grades: Option<BTreeMap<String, u8>>,
    connection: Option<Connection>,
}

fn new() -> String {
    "new".into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    position: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    position: String,
    how: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    position: String,
    map: BTreeMap<String, u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sign {
    name: String,
    hall_name: Option<String>,
}

impl Pairing {
    /// Answers a question, whichever door it came through.
    pub async fn handle(&self, who: &Who, question: Question) -> Answer {
        match self.answer(who, &question).await {
            Ok(answer) => answer,
            Err(problem) => {
                tracing::debug!(path = question.path, status = problem.status, "{problem}");
                problem.into()
            }
        }
    }

    async fn answer(&self, who: &Who, q: &Question) -> Result<Answer, Problem> {
        let path: Vec<&str> = q.path.trim_matches('/').split('/').collect();
        let ok = |value: Value| Ok(Answer::json(200, &value));
        match (q.method.as_str(), &path[..]) {
            ("GET", ["hall"]) => ok(self.hall(who)),
            ("GET", ["positions"]) => {
                let items: Vec<Value> = self.all().iter().map(|p| self.position(p)).collect();
                ok(json!({"items": items, "next": null}))
            }
            ("GET", ["positions", id]) => ok(self.one_position(id).await?),
            ("POST", ["visit"]) => {
                let open: Open = q.json()?;
                let (new, shown) = self.open_visit(who, open.minutes, open.approver, open.window).await?;
                Ok(Answer::json(if new { 201 } else { 200 }, &shown))
            }
            ("GET", ["visit"]) => ok(self.current().await?),
            ("POST", ["visit", "extend"]) => {
                let extend: Extend = q.json()?;
                ok(self.extend(who, extend.minutes, extend.approver).await?)
            }
            ("POST", ["visit", "close"]) => ok(self.leave(who).await?),
            ("POST", ["visit", "window"]) => {
                let Window { window } = q.json()?;
                ok(self.choose_window(who, window).await?)
            }
            ("GET", ["visit", "sources"]) => ok(self.sources().await),
            ("POST", ["visit", "searches"]) => ok(match q.json()? {
                Search::Bus { port, baud } => self.search_bus(who, port, baud).await?,
                Search::Attendance { addresses, credential } => {
                    self.search_attendance(who, &addresses, credential).await?
                }
                Search::Camera(search) => self.search_cameras(who, search).await?,
                Search::Unknown { port, baud } => self.search_unknown(who, port, baud).await?,
                Search::Push {} => self.search_push(who).await?,
                Search::Stated { connection } => self.search_stated(who, connection).await?,
            }),
            ("POST", ["visit", "searches", id, "stop"]) => ok(self.stop_search(who, id).await?),
            ("POST", ["visit", "credentials"]) => {
                let Credential { name, secret } = q.json()?;
                self.credential(who, name, secret).await?;
                Ok(Answer::nothing())
            }
            ("GET", ["visit", "credentials"]) => {
                let vault = self.0.place.vault.clone();
                let names = tokio::task::spawn_blocking(move || vault.names()).await.unwrap_or_default();
                let items: Vec<Value> = names.into_iter().map(|name| json!({"name": name})).collect();
                ok(json!({"items": items}))
            }
            ("POST", ["visit", "identify"]) => {
                let Identify { candidate, how } = q.json()?;
                ok(self.identify(who, &candidate, &how).await?)
            }
            ("GET", ["visit", "sniff"]) => ok(self.sniffed(&q.asked("search").unwrap_or_default()).await?),
            ("POST", ["visit", "sniff", "press"]) => ok(self.sniff_press(who, q.json()?).await?),
            ("POST", ["visit", "sniff", "propose"]) => ok(self.sniff_propose(who, q.json()?).await?),
            ("POST", ["visit", "sniff", "keep"]) => ok(self.sniff_keep(who, q.json()?).await?),
            ("POST", ["visit", "streams"]) => ok(self.streams(who, q.json()?).await?),
            ("POST", ["visit", "identified"]) => {
                let Identified { candidate, is_it } = q.json()?;
                ok(self.identified(who, candidate, is_it).await?)
            }
            ("POST", ["visit", "bind"]) => {
                let bind: Bind = q.json()?;
                let map = bind.grades.as_ref().map(|map| read_map(map, "grades")).transpose()?;
                let map = map.filter(|map| !map.is_empty());
                ok(self.bind(who, &bind.candidate, &bind.position, &bind.case, map, bind.connection).await?)
            }
            ("POST", ["visit", "unbind"]) => {
                let At { position } = q.json()?;
                ok(self.unbind(who, &position).await?)
            }
            ("POST", ["visit", "test"]) => {
                let At { position } = q.json()?;
                ok(self.begin_test(who, &position).await?)
            }
            ("POST", ["visit", "test", "end"]) => {
                let At { position } = q.json()?;
                ok(self.end_test(who, &position).await?)
            }
            ("POST", ["visit", "test", "show"]) => {
                let Show { position, how } = q.json()?;
                ok(self.show_itself(who, &position, &how).await?)
            }
            ("GET", ["visit", "live"]) => {
                ok(self.live_after(q.number("after")?, q.number("wait")?.min(MAX_WAIT)).await)
            }
            ("POST", ["visit", "grades"]) => {
                let Confirm { position, map } = q.json()?;
                ok(self.confirm(who, &position, read_map(&map, "map")?).await?)
            }
            ("POST", ["visit", "photos"]) => {
                if q.body.len() > photo::MOST {
                    return Err(too_large(photo::MOST));
                }
                Ok(Answer::json(201, &self.take_photo(who, q.body.clone()).await?))
            }
            ("POST", ["visit", "points", point]) => {
                let judgement: Judgement = q.json()?;
                ok(self.judge(who, point, judgement).await?)
            }
            ("POST", ["visit", "sign"]) => {
                let Sign { name, hall_name } = q.json()?;
                ok(self.sign(who, &name, hall_name.as_deref()).await?)
            }
            ("GET", ["visits"]) => {
                let now = self.now();
                let latest = self.0.positions.run(|tx| log::latest(tx, VISITS)).await?;
                let items: Vec<Value> = latest
                    .iter()
                    .map(|v| {
                        json!({
                            "id": v.id,
                            "technician": v.technician,
                            "window": v.window,
                            "opened_at": v.opened_at,
                            "open": v.is_open(now),
                            "closed": v.closed,
                            "signed": v.signed,
                            "positions": v.bound.iter().map(|b| &b.position).collect::<Vec<_>>(),
                        })
                    })
                    .collect();
                ok(json!({"items": items, "next": null}))
            }
            ("GET", ["visits", id]) => {
                let read = self.read_visit(id).await?;
                ok(self.with_steps(&read, self.now()))
            }
            ("GET", ["visits", id, "sheet.pdf"]) => self.sheet(id).await,
            ("GET", ["visits", id, "photos", photo]) => {
                let (visit, photo) = ((*id).to_owned(), (*photo).to_owned());
                let jpeg: Option<Vec<u8>> = self
                    .0
                    .positions
                    .run(move |tx| {
                        let sql = "SELECT jpeg FROM photos WHERE visit = ?1 AND id = ?2";
                        Ok::<_, Problem>(tx.query_row(sql, params![visit, photo], |r| r.get(0)).optional()?)
                    })
                    .await?;
                let jpeg = jpeg.ok_or_else(|| Problem::not_found("photo"))?;
                Ok(Answer { status: 200, content_type: Some("image/jpeg"), body: jpeg.into() })
            }
            ("GET", ["undo"]) => ok(self.undos().await?),
            ("POST", ["undo", id]) => ok(self.undo(who, (*id).to_owned()).await?),
            ("POST", ["import"]) => {
                if q.body.len() > import::MOST_BYTES {
                    return Err(too_large(import::MOST_BYTES));
                }
                let dry_run = q.asked("dry_run").is_some_and(|v| v != "false");
                ok(self.import(who, q.content_type.as_deref(), q.body.clone(), dry_run).await?)
            }
            _ => Err(Problem::not_found("route")),
        }
    }

    async fn one_position(&self, id: &str) -> Result<Value, Problem> {
        let wanted = id.to_owned();
        let found = self
            .0
            .positions
            .run(move |tx| {
                let position = positions::one(tx, &wanted)?;
                Ok::<_, Problem>(match position {
                    Some(position) => Some((position, positions::history(tx, &wanted)?)),
                    None => None,
                })
            })
            .await?;
        let (position, history) = found.ok_or_else(|| Problem::not_found("position"))?;
        Ok(self.with_history(&position, &history))
    }

    async fn read_visit(&self, id: &str) -> Result<log::Read, Problem> {
        let wanted = id.to_owned();
        let read = self.0.positions.run(move |tx| log::read(tx, &wanted)).await?;
        read.ok_or_else(|| Problem::not_found("visit"))
    }

    /// What was shown after `after`; waits for it.
    async fn live_after(&self, after: u64, wait: u64) -> Value {
        let board = &self.0.place.board;
        let mut latest = board.latest();
        let news = async {
            // A closed bell means that the agent ends.
            let _ = latest.wait_for(|n| *n > after).await;
        };
        let _ = timeout(Duration::from_secs(wait), news).await;
        // A reading becomes a candidate a moment after it is shown.
        let mut items = Vec::new();
        let mut next = after;
        for _ in 0..10 {
            items.clear();
            let held = self.0.visit.lock().await;
            let visit = held.as_ref().filter(|v| v.closed.is_none());
            let lives = board.live_after(after);
            next = lives.last().map_or(after, |last| last.n);
            items.extend(lives.iter().filter_map(|live| self.live(live, visit)));
            if items.len() == lives.len() {
                break;
            }
            drop(held);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        json!({"items": items, "next": next})
    }

    async fn sheet(&self, id: &str) -> Result<Answer, Problem> {
        let read = self.read_visit(id).await?;
        if read.visit.signed.is_none() {
            return Err(Problem::new(
                409,
                "not-signed",
                json!({}),
                "the sheet is there once the visit is signed",
            ));
        }
        let visit = read.visit.id.clone();
        let photos = self
            .0
            .positions
            .run(move |tx| {
                let sql = "SELECT id, width, height, jpeg FROM photos WHERE visit = ?1 ORDER BY id";
                let mut statement = tx.prepare(sql)?;
                let rows = statement.query_map([visit], |r| {
                    Ok(sheet::Photo { id: r.get(0)?, width: r.get(1)?, height: r.get(2)?, jpeg: r.get(3)? })
                })?;
                Ok::<_, Problem>(rows.collect::<Result<Vec<_>, _>>()?)
            })
            .await?;
        let about = sheet::About {
            hall: self.0.place.config.hall.id.to_string(),
            hall_name: self.0.place.config.hall.name.clone(),
            windows: self.0.place.config.windows.iter().map(|w| (w.id.clone(), w.name.clone())).collect(),
            time_zone: self.0.place.config.hall.time_zone.clone(),
            version: crate::VERSION,
        };
        let made = tokio::task::spawn_blocking(move || sheet::make(&about, &read, &photos)).await;
        let pdf = made.map_err(|e| positions::StoreFailed(e.to_string()))?;
        let pdf = pdf.map_err(positions::StoreFailed)?;
        Ok(Answer { status: 200, content_type: Some("application/pdf"), body: pdf.into() })
    }
}
