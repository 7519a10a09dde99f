//! What in the record calls for somebody: a camera, device or picture that fails, a bad rating, a disk that fills; and
//! what says that it is over. Read from `events`; kept nowhere else.

use control_protocol::{Event, Happening, StoredEvent, UtcMillis};
use serde::Serialize;

use crate::{
    access::{Action, Person, Scope},
    evaluations::BAD_GRADE,
    params,
    store::{Sql, StoreError},
};

/// What a hall sends later than this, when its link is back, is history and no alarm.
const NEWS_MS: i64 = 10 * 60_000;

/// An alarm, as an open wall is told of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// Its place in the record.
    pub n: i64,
    /// The event's kind.
    pub kind: &'static str,
    /// When it happened.
    pub at: UtcMillis,
    /// Where.
    pub hall: String,
    /// At which window.
    pub window: Option<String>,
    /// The camera or the device's position.
    pub device: Option<String>,
    /// The case it happened in.
    pub case_id: Option<String>,
    /// 1 or 2, of a rating.
    pub grade: Option<u8>,
    /// More, in words.
    pub why: Option<String>,
    /// Whether it says that the trouble of this camera or device is over.
    pub over: bool,
}

/// Whether an open wall is told of this event.
pub(super) fn is_alarm(event: &Event) -> bool {
    kind_of(&event.happening).is_some()
}

struct Kind {
    /// Who is told: those who see cameras and devices, or those who see the service.
    action: Action,
    grade: Option<u8>,
    why: Option<String>,
    over: bool,
}

fn kind_of(happening: &Happening) -> Option<Kind> {
    let cameras = |why: Option<String>, over| Kind { action: Action::SeeCameras, grade: None, why, over };
    Some(match happening {
        Happening::CameraDown { why } | Happening::DeviceDown { why } => cameras(Some(why.clone()), false),
        Happening::PictureFault { fault, ended, .. } => cameras(Some(fault.clone()), *ended),
        Happening::DeviceSilent {} => cameras(None, false),
        Happening::NodeDiskLow { .. } => cameras(None, false),
        Happening::CameraUp { .. } | Happening::DeviceUp {} => cameras(None, true),
        Happening::RatingGiven { grade, .. } if grade.value() <= BAD_GRADE => {
            Kind { action: Action::SeeService, grade: Some(grade.value()), why: None, over: false }
        }
        _ => return None,
    })
}

/// The cursor of the newest event.
pub fn newest(sql: &mut dyn Sql) -> Result<i64, StoreError> {
    let row = sql.query_one("SELECT COALESCE(MAX(n), 0) FROM events", params![])?;
    row.map_or(Ok(0), |row| row.get(0))
}

/// The alarms that `person` may know of behind the cursor `after`, from at most `most` events, and the cursor from which
/// to go on. `now`: what is older than ten minutes is left out.
pub fn alarms_after(
    sql: &mut dyn Sql,
    person: &Person,
    after: i64,
    most: u32,
    now: UtcMillis,
) -> Result<(Vec<Alarm>, i64), StoreError> {
    let rows = sql.query(
        "SELECT e.n, e.bytes, h.path FROM events e JOIN halls h ON h.id = e.hall WHERE e.n > $1 AND e.kind IN \
         ('camera.down', 'camera.up', 'device.down', 'device.silent', 'device.up', 'picture.fault', 'rating.given', \
         'node.disk_low') ORDER BY e.n LIMIT $2",
        params![after, most],
    )?;
    let cameras = Scope::of(person, Action::SeeCameras);
    let service = Scope::of(person, Action::SeeService);
    let (mut alarms, mut cursor) = (Vec::new(), after);
    for row in &rows {
        cursor = row.get(0)?;
        let (bytes, path): (Vec<u8>, String) = (row.get(1)?, row.get(2)?);
        let Ok(StoredEvent { event, .. }) = StoredEvent::open(bytes.into()) else { continue };
        let Some(kind) = kind_of(&event.happening) else { continue };
        let scope = if kind.action == Action::SeeService { &service } else { &cameras };
        let test = event.case.is_some_and(|case| case.is_test());
        if test || event.at.0 < now.0 - NEWS_MS || !scope.holds(&path) {
            continue;
        }
        alarms.push(Alarm {
            n: cursor,
            kind: event.happening.kind(),
            at: event.at,
            hall: event.hall.to_string(),
            window: event.window.map(|window| window.to_string()),
            device: event.device,
            case_id: event.case.map(|case| case.to_string()),
            grade: kind.grade,
            why: kind.why,
            over: kind.over,
        });
    }
    Ok((alarms, cursor))
}

#[cfg(test)]
mod tests {
    use control_protocol::event::Grade;

    use super::*;
    use crate::{
        scene::{Journal, START, Scene},
        site::tests::Browser,
    };

    /// Somebody of the scene by name, as a route meets them.
    async fn alarms_of(scene: &Scene, name: &'static str, after: i64) -> Vec<(String, Option<u8>, bool)> {
        let browser = Browser::signed_in(scene, name).await;
        let person = browser.person(scene).await;
        let now = scene.centre.clock.now();
        let read = move |sql: &mut dyn Sql| alarms_after(sql, &person, after, 50, now);
        let (alarms, cursor) = scene.centre.store.read(read).await.unwrap();
        assert_eq!(cursor, scene.centre.store.read(newest).await.unwrap(), "everything is looked at");
        alarms.into_iter().map(|alarm| (alarm.kind.to_owned(), alarm.grade, alarm.over)).collect()
    }

    #[tokio::test]
    async fn alarms_are_told_to_whom_they_concern() {
        let scene = Scene::new().await;
        let mut journal = Journal::of("450103-01");
        let old = journal.event(1, 0, Happening::CameraDown { why: "before".into() });
        scene.take(vec![old]).await;
        scene.pass(NEWS_MS + 60_000);
        journal.at = START + NEWS_MS + 55_000;
        let rated = |grade| Happening::RatingGiven {
            ticket: "A001".into(),
            grade: Grade::new(grade).unwrap(),
            raw: 0,
        };
        let camera = Some("450103-01-W01-C1");
        let fault =
            Happening::PictureFault { fault: "blocked".into(), ended: true, since: None, still: None };
        let events = vec![
            journal.by_device(1, 0, camera, Happening::CameraDown { why: "pulled".into() }),
            journal.event(1, 1, rated(5)),
            journal.event(1, 2, rated(1)),
            journal.by_device(
                1,
                0,
                camera,
                Happening::CameraUp { codec: "h264".into(), width: 640, height: 360, down_ms: None },
            ),
            journal.by_device(1, 0, camera, fault),
        ];
        scene.take(events).await;
        let down = ("camera.down".to_owned(), None, false);
        let rating = ("rating.given".to_owned(), Some(1), false);
        let up = ("camera.up".to_owned(), None, true);
        let seen = ("picture.fault".to_owned(), None, true);
        assert_eq!(
            alarms_of(&scene, "county", 0).await,
            [down.clone(), rating.clone(), up.clone(), seen.clone()]
        );
        assert_eq!(alarms_of(&scene, "county", 3).await, [rating, up.clone(), seen.clone()]);
        assert_eq!(alarms_of(&scene, "tech", 0).await, [down, up, seen], "a technician sees no rating");
        assert_eq!(alarms_of(&scene, "hr", 0).await, []);
        assert_eq!(alarms_of(&scene, "other", 0).await, []);
    }
}
