//! Nodes without a machine: certificates of their own, events sealed here, batches posted as an agent posts them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use control_protocol::{
    CaseId, Event, HallId, Happening, NodeId, StoredEvent, UtcMillis,
    chain::ChainEnd,
    event::{ClockQuality, EndedBy, VERSION},
    intake::{self, Answer, MAX_EVENTS, pack},
};
use edge_agent::uplink::{connector::Connector, enrol, identity::Identity};
use http::Method;
use region::{api::Api, process::lasting_address, start::Centre};
use serde_json::json;
use url::Url;

/// The windows of every hall here.
const WINDOWS: u16 = 12;
/// The administrator's password in [`centre_of`].
const PASSWORD: &str = "quiet-Harbour-0-ninety4";

/// A node that is only its certificate.
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its hall.
    pub hall: HallId,
    connector: Connector,
}

/// Starts a centre below `root` with so many halls, at most 198, of twelve windows each; gives it, its administrator and
/// the halls' ids.
pub async fn centre_of(root: &Path, halls: usize) -> Result<(Centre, Api, Vec<String>)> {
    ensure!(halls <= 198, "a county has at most 99 halls, and there are two counties");
    let ids: Vec<String> =
        (0..halls).map(|n| format!("{}-{:02}", ["450103", "450102"][n / 99], n % 99 + 1)).collect();
    let windows: Vec<_> = ids
        .iter()
        .flat_map(|hall| {
            (1..=WINDOWS)
                .map(move |n| json!({"hall": hall, "number": n, "name": "综合窗口", "businesses": ["社保"]}))
        })
        .collect();
    let halls: Vec<_> = ids.iter().map(|id| json!({"id": id, "name": id, "area": id[..6]})).collect();
    let areas = [
        json!({"id": "450000", "name": "广西壮族自治区", "level": "region"}),
        json!({"id": "450100", "name": "南宁市", "level": "city", "parent": "450000"}),
        json!({"id": "450102", "name": "兴宁区", "level": "county", "parent": "450100"}),
        json!({"id": "450103", "name": "青秀区", "level": "county", "parent": "450100"}),
    ];
    let admin = json!({"name": "admin", "password": PASSWORD, "role": "administrator", "scope": "450000",
        "must_change": false});
    let file = json!({"area": areas, "hall": halls, "window": windows, "user": [admin]});
    let file = toml::Table::try_from(&file).context("the import file as TOML")?.to_string();
    let centre = Centre::start(root, &file, &lasting_address()?, &lasting_address()?).await?;
    let admin = centre.api()?.sign_in("admin", PASSWORD).await?;
    Ok((centre, admin, ids))
}

impl Node {
    /// Enrols one for `hall`.
    pub async fn enrol(centre: &Centre, admin: &Api, hall: &str) -> Result<Self> {
        let code = admin.post(&format!("/api/v1/halls/{hall}/pairing-codes"), json!({})).await?;
        let code = code["code"].as_str().context("no pairing code in the answer")?.parse()?;
        let url: Url = centre.addresses.nodes.parse()?;
        let hall: HallId = hall.parse()?;
        let identity: Identity = enrol::enrol(&url, centre.addresses.pin.parse()?, code, &hall).await?;
        Ok(Self { id: identity.node.clone(), hall, connector: Connector::new(&url, &identity)? })
    }

    /// Posts a packed batch with so many events behind it; waits as long as the centre asks for when it has no time, and
    /// tries again when the connection breaks.
    ///
    /// # Errors
    /// The centre refuses it for another reason, or cannot be reached for a minute.
    pub async fn post_packed(&self, body: Bytes, behind: u64) -> Result<Answer> {
        let path = format!("{}?behind={behind}", intake::PATH);
        let begun = Instant::now();
        loop {
            let posted = self.connector.request(Method::POST, &path, "application/zstd", body.clone()).await;
            let wait = match posted {
                Ok(answer) if answer.status.is_success() => return Ok(serde_json::from_slice(&answer.body)?),
                Ok(answer) => match answer.retry_after() {
                    Some(wait) => wait,
                    None => bail!("the centre answered {}: {}", answer.status, answer.detail()),
                },
                Err(error) if begun.elapsed() > Duration::from_secs(60) => return Err(error.into()),
                Err(_) => Duration::from_millis(500),
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Posts lines.
    ///
    /// # Errors
    /// As [`post_packed`](Self::post_packed).
    pub async fn post<'a>(&self, lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Answer> {
        self.post_packed(Bytes::from(pack(lines)?), 0).await
    }

    /// Sends a journal from its beginning, in full batches, as an agent drains its backlog.
    ///
    /// # Errors
    /// As [`post_packed`](Self::post_packed), or the centre does not take an event.
    pub async fn drain(&self, batches: &[Packed]) -> Result<()> {
        let mut left: u64 = batches.iter().map(|batch| batch.events).sum();
        for batch in batches {
            left -= batch.events;
            let answer = self.post_packed(batch.body.clone(), left).await?;
            let mark = answer.marks.first().and_then(|mark| mark.committed);
            ensure!(
                mark.is_some_and(|mark| mark.seq >= batch.last),
                "the centre has {mark:?} after event {}",
                batch.last
            );
        }
        Ok(())
    }

    /// What the centre has of it.
    ///
    /// # Errors
    /// The centre's, or the link's.
    pub async fn mark(&self) -> Result<Option<ChainEnd>> {
        let answer =
            self.connector.request(Method::GET, intake::PATH, "application/zstd", Bytes::new()).await?;
        let answer: Answer = serde_json::from_slice(&answer.body)
            .with_context(|| format!("{}: {}", answer.status, answer.detail()))?;
        Ok(answer.marks.iter().find(|mark| mark.node == self.id).and_then(|mark| mark.committed))
    }

    /// Seals the next event of a journal.
    ///
    /// # Errors
    /// The event is too large.
    pub fn seal(&self, end: &mut ChainEnd, at: UtcMillis, happening: Happening) -> Result<StoredEvent> {
        let window = matches!(happening, Happening::WindowPaused { .. }).then_some(1);
        self.seal_at(end, at, window, None, happening)
    }

    fn seal_at(
        &self,
        end: &mut ChainEnd,
        at: UtcMillis,
        window: Option<u16>,
        case: Option<CaseId>,
        happening: Happening,
    ) -> Result<StoredEvent> {
        let window = window.map(|n| format!("{}-W{n:02}", self.hall).parse()).transpose()?;
        let stored = StoredEvent::seal(Event {
            node: self.id.clone(),
            epoch: end.epoch,
            seq: end.seq + 1,
            prev: end.digest,
            at,
            mono_us: end.seq,
            boot: "synthetic".into(),
            clock: ClockQuality::Synchronised,
            hall: self.hall.clone(),
            window,
            device: None,
            case,
            happening,
            v: VERSION,
        })?;
        *end = ChainEnd { epoch: end.epoch, seq: end.seq + 1, digest: stored.digest };
        Ok(stored)
    }

    /// A journal of `cases` services from the `first` case number on, six events each, two minutes apart.
    ///
    /// # Errors
    /// There are no more case numbers on the day.
    pub fn day(
        &self,
        end: &mut ChainEnd,
        from: UtcMillis,
        first: u32,
        cases: u32,
    ) -> Result<Vec<StoredEvent>> {
        let date = from.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date();
        let mut events = Vec::new();
        for serial in first..first + cases {
            let case = Some(CaseId::new(&self.hall, date, serial)?);
            let (ticket, business) = (format!("A{serial:05}"), "社保".to_owned());
            let window = Some((serial % u32::from(WINDOWS)) as u16 + 1);
            let at = from.plus(i64::from(serial - first) * 10_000);
            let steps = [
                (
                    0,
                    None,
                    Happening::TicketIssued {
                        ticket: ticket.clone(),
                        business: business.clone(),
                        printed_waiting: Some(3),
                        priority: 0,
                    },
                ),
                (0, None, Happening::CaseOpened { ticket: ticket.clone(), business: business.clone() }),
                (
                    60_000,
                    window,
                    Happening::TicketCalled { ticket: ticket.clone(), business, by_number: false },
                ),
                (70_000, window, Happening::ServiceStarted { ticket: ticket.clone() }),
                (
                    110_000,
                    window,
                    Happening::ServiceEnded { ticket: ticket.clone(), ended_by: EndedBy::NextCall },
                ),
                (
                    115_000,
                    window,
                    Happening::CaseClosed {
                        ticket,
                        ended_by: EndedBy::NextCall,
                        grade: None,
                        accurate: true,
                    },
                ),
            ];
            for (after, window, happening) in steps {
                events.push(self.seal_at(end, at.plus(after), window, case, happening)?);
            }
        }
        Ok(events)
    }
}

/// A batch as it is posted.
pub struct Packed {
    /// Its bytes.
    pub body: Bytes,
    /// How many events it has.
    pub events: u64,
    /// The number of the last.
    pub last: u64,
}

/// Cuts a journal into batches of `size` events.
///
/// # Errors
/// None that is expected: packing memory.
pub fn packed(events: &[StoredEvent], size: usize) -> Result<Vec<Packed>> {
    let size = size.clamp(1, MAX_EVENTS);
    events
        .chunks(size)
        .map(|chunk| {
            Ok(Packed {
                body: pack(chunk.iter().map(|event| event.bytes.as_ref()))?.into(),
                events: chunk.len() as u64,
                last: chunk.last().map_or(0, |event| event.event.seq),
            })
        })
        .collect()
}
