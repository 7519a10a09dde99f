//! The room through its routes: a hall with a shift, its people's days, what is asked and decided, sheets, calendars, and who may
//! see what.

use control_protocol::{Happening, UtcMillis, event::PositionEntry};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::calendar::{SignedCalendar, tests::guangxi_2017};
use crate::{
    evidence::key::EvidenceKey,
    params,
    scene::{Journal, START, Scene},
    site::tests::Browser,
    store::{Sql, Tx},
};

const HALL: &str = "450103-01";
const TERMINAL: &str = "450103-01-A01-attendance";
/// Midnight of 2026-11-24, a Tuesday, in the halls.
const TUESDAY: i64 = 1_795_449_600_000;
const HOUR: i64 = 3_600_000;
const DAYS: &str = "/attendance/days?hall=450103-01&date=2026-11-24";

fn shift() -> Value {
    let mark = |from: &str, due: &str, until: &str| json!({"from": from, "due": due, "until": until});
    json!({"name": "常白班", "periods": [{"from": "2026-01-01", "name": "常年作息", "spans": [
        {"start": mark("07:00", "09:00", "12:00"), "end": mark("12:00", "17:00", "23:00")}]}]})
}

struct Hall {
    scene: Scene,
    journal: Journal,
    hr: Browser,
    manager: Browser,
}

impl Hall {
    /// A hall with a terminal, three clerks and a shift for everybody.
    async fn new() -> Self {
        let scene = Scene::new().await;
        let (hr, manager) =
            (Browser::signed_in(&scene, "hr").await, Browser::signed_in(&scene, "manager").await);
        let mut hall = Self { journal: Journal::of(HALL), scene, hr, manager };
        let terminal = PositionEntry {
            position: TERMINAL.parse().unwrap(),
            window: None,
            role: "attendance".into(),
            unconfirmed: false,
            hardware: None,
        };
        hall.say(
            START,
            None,
            Happening::NodeConfigChanged { cameras: Vec::new(), positions: vec![terminal] },
        )
        .await;
        for (number, name) in [("1001", "王老师"), ("1002", "韦老师"), ("1003", "覃老师")] {
            let clerk = json!({"name": name, "unit": "人社局", "window": "450103-01-W01"});
            hall.put(&format!("/halls/{HALL}/staff/{number}"), clerk).await;
        }
        let (status, saved) = hall
            .hr
            .json(Method::POST, "/attendance/shifts", Some(json!({"scope": "450103", "shift": shift()})))
            .await;
        assert_eq!(status, StatusCode::CREATED, "{saved}");
        let pattern = json!({"kind": "workdays", "shift": saved["id"]});
        hall.put(&format!("/attendance/rosters/{HALL}/_everybody/2026-01-01"), pattern).await;
        hall
    }

    async fn put(&self, path: &str, body: Value) {
        let (status, said) = self.hr.json(Method::PUT, path, Some(body)).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{path}: {said}");
    }

    async fn say(&mut self, at: i64, device: Option<&str>, happening: Happening) {
        self.journal.at = at;
        let window = u32::from(matches!(happening, Happening::ClerkSignedIn { .. }));
        let event = self.journal.by_device(window, 0, device, happening);
        self.scene.take(vec![event]).await;
    }

    async fn punch(&mut self, employee: &str, at: i64) {
        let punch = Happening::PunchRecorded {
            employee: employee.into(),
            punched_at: UtcMillis(at),
            verify: 1,
            state: 255,
            live: false,
        };
        self.say(at, Some(TERMINAL), punch).await;
    }

    /// The terminal is read to its end at `at`, which is also the present.
    async fn read_at(&mut self, at: i64) {
        let read = Happening::PunchLogRead { through: UtcMillis(at), clock_offset: Some(0) };
        self.say(at, Some(TERMINAL), read).await;
        self.comes_to(at).await;
    }

    /// Lets the present be `at`; whoever was signed in signs in again.
    async fn comes_to(&mut self, at: i64) {
        let now = self.scene.centre.clock.now().0;
        self.scene.pass(at - now);
        self.hr = Browser::signed_in(&self.scene, "hr").await;
        self.manager = Browser::signed_in(&self.scene, "manager").await;
    }

    async fn states(&self) -> Vec<(String, String)> {
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let page = self.hr.get(DAYS).await;
        let items = page["items"].as_array().unwrap();
        items.iter().map(|row| (text(row, "employee"), text(row, "state"))).collect()
    }
}

fn states(expected: [&str; 3]) -> Vec<(String, String)> {
    ["1001", "1002", "1003"].iter().zip(expected).map(|(n, s)| ((*n).to_owned(), s.to_owned())).collect()
}

#[tokio::test]
async fn a_day_from_its_morning_to_its_end() {
    let mut hall = Hall::new().await;
    hall.read_at(TUESDAY + 8 * HOUR).await;
    assert_eq!(hall.states().await, states(["upcoming"; 3]));
    hall.punch("1001", TUESDAY + 9 * HOUR - 600_000).await;
    hall.punch("1002", TUESDAY + 9 * HOUR + 300_000).await;
    hall.read_at(TUESDAY + 10 * HOUR).await;
    assert_eq!(hall.states().await, states(["working", "late", "not_in"]));
    hall.punch("1001", TUESDAY + 17 * HOUR + 60_000).await;
    hall.punch("1002", TUESDAY + 17 * HOUR).await;
    // The day is over, and the terminal was last read at ten: nobody is absent yet.
    hall.comes_to(TUESDAY + 30 * HOUR).await;
    assert_eq!(hall.states().await, states(["normal", "late", "unsynced"]));
    hall.read_at(TUESDAY + 30 * HOUR).await;
    assert_eq!(hall.states().await, states(["normal", "late", "absent"]));
    let page = hall.hr.get(DAYS).await;
    assert_eq!(page["items"][1]["figures"]["late_min"], 5);
    assert_eq!(page["items"][1]["marks"][0]["at"], "2026-11-24T01:05:00.000Z");
    assert_eq!(page["counts"], json!({"normal": 1, "late": 1, "absent": 1}));
    assert_eq!(page["halls"][0]["synced_to"], "2026-11-24T22:00:00.000Z");
    let late = hall.hr.get(&format!("{DAYS}&state=late")).await;
    assert_eq!(late["items"].as_array().unwrap().len(), 1);
    let first = hall.hr.get(&format!("{DAYS}&limit=2")).await;
    let next = first["next"].as_str().unwrap().replace(' ', "%20");
    let rest = hall.hr.get(&format!("{DAYS}&limit=2&after={next}")).await;
    assert_eq!((rest["items"][0]["employee"].as_str(), &rest["next"]), (Some("1003"), &Value::Null));
}

#[tokio::test]
async fn a_hall_keeps_its_own_time() {
    let mut hall = Hall::new().await;
    let admin = Browser::signed_in(&hall.scene, "admin").await;
    let zone = async |name: &str| {
        let is = json!({"area": "450103", "name": "青秀区政务服务中心", "time_zone": name});
        admin.json(Method::PUT, "/halls/450103-01", Some(is)).await.0
    };
    assert_eq!(zone("Asia/Nowhere").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(zone("Asia/Urumqi").await, StatusCode::NO_CONTENT);
    assert_eq!(admin.get("/halls/450103-01/setup").await["time_zone"], "Asia/Urumqi");
    // 08:59 and 09:05 there are 10:59 and 11:05 in Beijing.
    hall.punch("1001", TUESDAY + 11 * HOUR - 60_000).await;
    hall.punch("1002", TUESDAY + 11 * HOUR + 300_000).await;
    hall.read_at(TUESDAY + 32 * HOUR).await;
    let page = hall.hr.get(DAYS).await;
    assert_eq!(page["halls"][0]["zone"], "Asia/Urumqi");
    assert_eq!(page["items"][0]["marks"][0]["due"], "2026-11-24T03:00:00.000Z");
    let first = |n: usize| page["items"][n]["marks"][0]["state"].as_str().unwrap();
    assert_eq!([first(0), first(1), first(2)], ["on_time", "late", "missing"], "{page}");
    // At one in the morning in Beijing it is still the day before there.
    let today = hall.hr.get("/attendance/days?hall=450103-01").await;
    assert_eq!(today["date"], "2026-11-25");
    hall.comes_to(TUESDAY + 49 * HOUR).await;
    assert_eq!(hall.hr.get("/attendance/days?hall=450103-01").await["date"], "2026-11-25");
    let sheet = hall.hr.file("/attendance/months/2026-11/sheet.csv?hall=450103-01&lang=en").await;
    assert!(String::from_utf8_lossy(&sheet).contains("23:00"), "made at 23:00 of that hall");
    // With summer time a mark is an hour earlier in UTC from one Monday to the next.
    let admin = Browser::signed_in(&hall.scene, "admin").await;
    let is = json!({"area": "450103", "name": "青秀区政务服务中心", "time_zone": "Europe/Berlin"});
    assert_eq!(admin.json(Method::PUT, "/halls/450103-01", Some(is)).await.0, StatusCode::NO_CONTENT);
    for (date, due) in
        [("2026-03-27", "2026-03-27T08:00:00.000Z"), ("2026-03-30", "2026-03-30T07:00:00.000Z")]
    {
        let page = hall.hr.get(&format!("/attendance/days?hall=450103-01&date={date}")).await;
        assert_eq!(page["items"][0]["marks"][0]["due"], due);
    }
}

#[tokio::test]
async fn a_request_has_the_seat_beside_it_and_what_was_not_seen_is_unknown() {
    let mut hall = Hall::new().await;
    hall.punch("1001", TUESDAY + 9 * HOUR).await;
    let mut seat = async |hour: i64, seat: &str, why: Option<&str>| {
        let changed = Happening::SeatChanged { seat: seat.into(), why: why.map(str::to_owned), still: None };
        hall.journal.at = TUESDAY + hour * HOUR;
        let event = hall.journal.by_device(1, 0, Some("450103-01-W01-C1"), changed);
        hall.scene.take(vec![event]).await;
    };
    seat(8, "occupied", None).await;
    seat(12, "empty", None).await;
    seat(14, "unknown", Some("dark")).await;
    seat(16, "occupied", None).await;
    hall.read_at(TUESDAY + 30 * HOUR).await;
    let heard = UtcMillis(TUESDAY + 20 * HOUR);
    let node = "INSERT INTO nodes (id, hall, version, enrolled_at, last_seen) VALUES ('hall-450103-01', $1, '0', 0, $2)";
    let put = move |tx: &mut Tx<'_>| tx.execute(node, params![HALL, heard]);
    hall.scene.centre.store.write("a node", put).await.unwrap();
    let wanted = json!({"kind": "punch", "date": "2026-11-24", "mark": 1});
    let request = json!({"hall": HALL, "employee": "1001", "wanted": wanted, "reason": "下班时考勤机断电"});
    let (_, filed) = hall.hr.json(Method::POST, "/attendance/requests", Some(request)).await;
    let path = format!("/attendance/requests/{}/evidence", filed["id"].as_str().unwrap());
    let evidence = hall.manager.get(&path).await;
    assert_eq!(
        (&evidence["due"], &evidence["zone"]),
        (&json!("2026-11-24T09:00:00.000Z"), &json!("Asia/Shanghai"))
    );
    let spells: Vec<_> = evidence["seats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            (
                s["from"].as_str().unwrap()[5..13].to_owned(),
                s["seat"].as_str().unwrap(),
                s["why"].as_str().unwrap_or(""),
            )
        })
        .collect();
    let spell = |from: &str, seat: &'static str, why: &'static str| (from.to_owned(), seat, why);
    assert_eq!(
        spells,
        [
            spell("11-23T16", "unknown", "nothing_said"),
            spell("11-24T00", "occupied", ""),
            spell("11-24T04", "empty", ""),
            spell("11-24T06", "unknown", "dark"),
            spell("11-24T08", "occupied", ""),
            spell("11-24T12", "unknown", "hall_offline"),
        ]
    );
}

#[tokio::test]
async fn a_clock_that_is_off_is_taken_into_account_and_the_punch_stays_as_it_is() {
    let mut hall = Hall::new().await;
    let seven = TUESDAY + 7 * HOUR;
    hall.say(seven, Some(TERMINAL), Happening::DeviceClockOffset { seconds: 420 }).await;
    // Stamped 09:03 by a clock that is seven minutes ahead.
    hall.punch("1001", TUESDAY + 9 * HOUR + 180_000).await;
    let read = Happening::PunchLogRead { through: UtcMillis(TUESDAY + 10 * HOUR), clock_offset: Some(420) };
    hall.say(TUESDAY + 10 * HOUR, Some(TERMINAL), read).await;
    hall.comes_to(TUESDAY + 10 * HOUR).await;
    assert_eq!(hall.states().await[0].1, "working");
    let person = hall.hr.get("/attendance/people/450103-01/1001?from=2026-11-24&to=2026-11-24").await;
    let punch = &person["punches"][0];
    assert_eq!(
        (&punch["stamped_at"], &punch["at"]),
        (&json!("2026-11-24T01:03:00.000Z"), &json!("2026-11-24T00:56:00.000Z"))
    );
    assert_eq!(
        (&punch["offset"], &punch["certainty"], &punch["counts"]),
        (&json!(420), &json!("measured"), &json!(true))
    );
    let list = hall.hr.get("/punches?hall=450103-01").await;
    assert_eq!(list["items"][0]["punched_at"], "2026-11-24T01:03:00.000Z");
}

#[tokio::test]
async fn what_one_asks_another_decides() {
    let mut hall = Hall::new().await;
    hall.punch("1001", TUESDAY + 9 * HOUR).await;
    hall.say(TUESDAY + 9 * HOUR + 60_000, None, Happening::ClerkSignedIn { clerk: "1001".into() }).await;
    hall.read_at(TUESDAY + 30 * HOUR).await;
    assert_eq!(hall.states().await[0].1, "missing");
    let wanted = json!({"kind": "punch", "date": "2026-11-24", "mark": 1});
    let request = json!({"hall": HALL, "employee": "1001", "wanted": wanted, "reason": "下班时考勤机断电"});
    let (status, filed) = hall.hr.json(Method::POST, "/attendance/requests", Some(request.clone())).await;
    assert_eq!(status, StatusCode::CREATED, "{filed}");
    let path = format!("/attendance/requests/{}", filed["id"].as_str().unwrap());
    assert_eq!(
        hall.hr.json(Method::POST, "/attendance/requests", Some(request)).await.0,
        StatusCode::CONFLICT
    );
    let evidence = hall.manager.get(&format!("{path}/evidence")).await;
    assert_eq!(evidence["sign_ins"][0]["window"], "450103-01-W01");
    assert_eq!(evidence["day"]["state"], "missing");
    let yes = Some(json!({"approve": true}));
    let decision = format!("{path}/decision");
    assert_eq!(hall.hr.json(Method::POST, &decision, yes.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(hall.states().await[0].1, "missing");
    let no = Some(json!({"approve": false}));
    assert_eq!(hall.manager.json(Method::POST, &decision, no).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(hall.manager.json(Method::POST, &decision, yes.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(hall.states().await[0].1, "normal");
    // A decision stands.
    assert_eq!(hall.manager.json(Method::POST, &decision, yes).await.0, StatusCode::CONFLICT);
    let list = hall.hr.get("/attendance/requests?state=approved").await;
    let row = &list["items"][0];
    assert_eq!((&row["asked_by"], &row["decided_by"]), (&json!("hr"), &json!("manager")));
    let log = Browser::signed_in(&hall.scene, "admin").await.get("/audit").await;
    let done: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert!(done.contains(&"attendance.asked") && done.contains(&"attendance.approved"), "{done:?}");
    // The punches are what they were.
    assert_eq!(hall.hr.get("/punches").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_sheet_has_its_title_its_total_and_a_byte_order_mark() {
    let mut hall = Hall::new().await;
    for (employee, minutes) in [("1001", 0), ("1002", 12)] {
        hall.punch(employee, TUESDAY + 9 * HOUR + minutes * 60_000).await;
        hall.punch(employee, TUESDAY + 17 * HOUR).await;
    }
    hall.read_at(TUESDAY + 23 * HOUR + HOUR / 2).await;
    let path = "/attendance/months/2026-11/sheet";
    let csv = hall.hr.file(&format!("{path}.csv?hall={HALL}")).await;
    assert!(csv.starts_with(b"\xef\xbb\xbf"));
    let text = String::from_utf8(csv).unwrap();
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines[0], "青秀区政务服务中心2026年11月考勤汇总表");
    assert_eq!(lines[1], "统计期间,2026年11月1日至2026年11月30日");
    assert!(text.contains("制表人,hr") && text.contains("审核人,"), "{text}");
    let head = lines.iter().position(|line| line.starts_with("序号,姓名,工号,单位,窗口,2026-11-01")).unwrap();
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let columns = cells(lines[head]);
    let of = |line: &str, column: &str| {
        let at = columns.iter().position(|name| name == column).unwrap_or_else(|| panic!("{column}"));
        cells(line)[at].clone()
    };
    let second = lines[head + 2];
    assert_eq!((of(second, "姓名"), of(second, "2026-11-24")), ("韦老师".into(), "△".into()));
    assert_eq!((of(second, "迟到·次"), of(second, "迟到·分")), ("1".into(), "12".into()));
    // Seventeen workdays from the second to the twenty-fourth, of which one was worked.
    assert_eq!((of(second, "应出勤（天）"), of(second, "旷工（天）")), ("17".into(), "16".into()));
    assert_eq!((of(second, "2026-11-23"), of(second, "2026-11-22")), ("×".into(), String::new()));
    let total = lines.iter().find(|line| line.starts_with("合计,")).unwrap();
    assert_eq!((of(total, "应出勤（天）"), of(total, "旷工（天）")), ("51".into(), "49".into()));
    assert_eq!(of(total, "迟到·分"), "12");
    let english = hall.hr.file(&format!("{path}.csv?hall={HALL}&lang=en")).await;
    assert!(String::from_utf8(english).unwrap().contains("Total,"));
    let xlsx = hall.hr.file(&format!("{path}.xlsx?hall={HALL}")).await;
    assert!(xlsx.starts_with(b"PK"));
    // For people to look at.
    if let Some(folder) = std::env::var_os("HALLWATCH_OUTPUT") {
        std::fs::write(std::path::Path::new(&folder).join("attendance.xlsx"), &xlsx).unwrap();
    }
    let month = hall.hr.get(&format!("/attendance/months/2026-11?hall={HALL}")).await;
    assert_eq!(month["items"][1]["days"][23]["symbol"], "△");
    let log = Browser::signed_in(&hall.scene, "admin").await.get("/audit").await;
    assert_eq!(log["items"][0]["action"], "session.opened");
    assert_eq!(log["items"][1]["action"], "attendance.exported");
}

#[tokio::test]
async fn who_is_at_a_window_is_said_by_three() {
    let mut hall = Hall::new().await;
    hall.punch("1001", TUESDAY + 9 * HOUR - 60_000).await;
    hall.say(TUESDAY + 9 * HOUR, None, Happening::ClerkSignedIn { clerk: "1003".into() }).await;
    hall.read_at(TUESDAY + 10 * HOUR).await;
    let duty = hall.hr.get("/attendance/on-duty?hall=450103-01").await;
    let people = duty["items"][0]["people"].as_array().unwrap();
    let said: Vec<_> = people
        .iter()
        .map(|one| {
            let there = |name: &str| !one[name].is_null();
            (
                one["employee"].as_str().unwrap(),
                one["rostered"] == true,
                there("signed_in"),
                there("punched_in"),
            )
        })
        .collect();
    assert_eq!(
        said,
        [("1001", true, false, true), ("1002", true, false, false), ("1003", true, true, false)]
    );
    assert_eq!(duty["items"][1]["people"], json!([]));
}

#[tokio::test]
async fn calendars_are_taken_from_those_who_are_trusted() {
    let hall = Hall::new().await;
    let unknown = "/attendance/days?hall=450103-01&date=2031-03-03";
    let (status, problem) = hall.hr.json(Method::GET, unknown, None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:hallwatch:problem:calendar-unknown");
    let key = EvidenceKey::generate().unwrap();
    let text = serde_json::to_string(&guangxi_2017()).unwrap();
    let signed = json!(SignedCalendar::seal(text, &key.public(), |message| key.sign(message)));
    let import = |signed: &Value| hall.hr.json(Method::POST, "/attendance/calendars", Some(signed.clone()));
    let (status, problem) = import(&signed).await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("urn:hallwatch:problem:calendar-key"))
    );
    assert!(problem["detail"].as_str().unwrap().contains(&key.public().fingerprint().to_string()));
    let trust = Some(json!({"key": key.public().fingerprint().to_string(), "note": "自治区人社厅"}));
    let keys = "/attendance/calendar-keys";
    assert_eq!(hall.hr.json(Method::POST, keys, trust.clone()).await.0, StatusCode::FORBIDDEN);
    let admin = Browser::signed_in(&hall.scene, "admin").await;
    assert_eq!(admin.json(Method::POST, keys, trust).await.0, StatusCode::NO_CONTENT);
    assert_eq!(import(&signed).await.0, StatusCode::NO_CONTENT);
    let kind = async |date: &str| {
        let page = hall.hr.get(&format!("/attendance/days?hall=450103-01&date={date}")).await;
        page["items"][0]["calendar"]["kind"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        [kind("2017-03-30").await, kind("2017-04-01").await, kind("2017-04-08").await],
        ["holiday", "holiday", "make_up"]
    );
    let mut forged = signed.clone();
    forged["calendar"] = json!(forged["calendar"].as_str().unwrap().replace("04-08", "04-15"));
    assert_eq!(import(&forged).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(kind("2017-04-08").await, "make_up");
    // What the region arranged in another year is not known now, and is not guessed to be nothing.
    let (status, problem) = hall.hr.json(Method::GET, DAYS, None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:hallwatch:problem:calendar-unknown");
    assert!(problem["detail"].as_str().unwrap().contains("450000"), "{problem}");
}

#[tokio::test]
async fn nobody_sees_or_changes_what_is_not_theirs() {
    let hall = Hall::new().await;
    let other = Browser::signed_in(&hall.scene, "other").await;
    let tech = Browser::signed_in(&hall.scene, "tech").await;
    let ways = [
        "/attendance/days?hall=450103-01&date=2026-11-24",
        "/attendance/months/2026-11?hall=450103-01",
        "/attendance/months/2026-11/sheet.csv?hall=450103-01",
        "/attendance/months/2026-11/sheet.xlsx?hall=450103-01",
        "/attendance/people/450103-01/1001",
        "/attendance/on-duty?hall=450103-01",
        "/attendance/terminals?hall=450103-01",
    ];
    for way in ways {
        assert_eq!(other.status(way).await, StatusCode::NOT_FOUND, "{way}");
        assert_eq!(tech.status(way).await, StatusCode::FORBIDDEN, "{way}");
        assert_eq!(hall.manager.status(way).await, StatusCode::OK, "{way}");
    }
    let whole = other.get("/attendance/days?date=2026-11-24").await;
    assert_eq!((&whole["items"], whole["halls"].as_array().unwrap().len()), (&json!([]), 1));
    // A hall manager asks and decides; shifts and rosters are HR's.
    let rest = Some(json!({"shift": null}));
    let day = "/attendance/roster-days/450103-01/1001/2026-11-24";
    assert_eq!(hall.manager.json(Method::PUT, day, rest.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(other.json(Method::PUT, day, rest.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(hall.hr.json(Method::PUT, day, rest).await.0, StatusCode::NO_CONTENT);
    assert_eq!(hall.hr.get(DAYS).await["items"][0]["state"], "rest");
    assert_eq!(hall.hr.json(Method::DELETE, day, None).await.0, StatusCode::NO_CONTENT);
    let lost = Some(json!({"kind": "workdays", "shift": "sh-none"}));
    let roster = "/attendance/rosters/450103-01/1001/2026-11-01";
    assert_eq!(hall.hr.json(Method::PUT, roster, lost).await.0, StatusCode::NOT_FOUND);
    let list = hall.hr.get("/attendance/shifts?hall=450103-01").await;
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        hall.hr.json(Method::DELETE, &format!("/attendance/shifts/{id}"), None).await.0,
        StatusCode::CONFLICT
    );
    let mut changed = shift();
    changed["name"] = json!("白班");
    assert_eq!(
        hall.hr.json(Method::PUT, &format!("/attendance/shifts/{id}"), Some(changed)).await.0,
        StatusCode::NO_CONTENT
    );
    let versions = hall.hr.get(&format!("/attendance/shifts/{id}/versions")).await;
    let names: Vec<&str> =
        versions["items"].as_array().unwrap().iter().map(|v| v["shift"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["白班", "常白班"]);
}
