// Attendance of the mock: a morning of a hall with one of everything. Development only.

const MARK = (side, due, state, at = null, minutes = 0) => ({ side, due, from: due, until: due, state, at, minutes, request: null });
const NONE = { due_halves: 2, worked_halves: 2, late: 0, late_min: 0, early: 0, early_min: 0, missing: 0, absent_halves: 0, trip_halves: 0, corrected: 0, overtime_min: 0 };
const UNITS = ["人力资源和社会保障局", "自然资源局", "公安局", "市场监督管理局"];

/** What `/attendance/…` and `/staff` answer; null: not ours. */
export function attendanceOf(halls, windows) {
  const hallDate = () => new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 10);
  const at = (date, time) => new Date(`${date}T${time}:00+08:00`).toISOString();
  const people = windows.map((w, i) => ({ hall: w.hall, number: String(1001 + i), name: w.clerk?.name ?? "农老师", unit: UNITS[i % 4], window: w.id, window_name: w.name }));
  const kinds = ["normal", "late", "not_in", "normal", "working", "missing", "leave", "unsynced", "early"];
  const day = (p, i, date) => {
    const state = kinds[i % kinds.length];
    const marks = {
      normal: [MARK("in", at(date, "09:00"), "on_time", at(date, "08:52")), MARK("out", at(date, "12:00"), "on_time", at(date, "12:03")), MARK("in", at(date, "13:00"), "on_time", at(date, "12:48")), MARK("out", at(date, "17:00"), "on_time", at(date, "17:02"))],
      late: [MARK("in", at(date, "09:00"), "late", at(date, "09:12"), 12), MARK("out", at(date, "12:00"), "on_time", at(date, "12:01")), MARK("in", at(date, "13:00"), "on_time", at(date, "12:50")), MARK("out", at(date, "17:00"), "upcoming")],
      not_in: [MARK("in", at(date, "09:00"), "open"), MARK("out", at(date, "12:00"), "upcoming"), MARK("in", at(date, "13:00"), "upcoming"), MARK("out", at(date, "17:00"), "upcoming")],
      working: [MARK("in", at(date, "09:00"), "on_time", at(date, "08:57")), MARK("out", at(date, "12:00"), "upcoming"), MARK("in", at(date, "13:00"), "upcoming"), MARK("out", at(date, "17:00"), "upcoming")],
      missing: [MARK("in", at(date, "09:00"), "on_time", at(date, "08:41")), MARK("out", at(date, "12:00"), "missing"), MARK("in", at(date, "13:00"), "corrected"), MARK("out", at(date, "17:00"), "upcoming")],
      leave: ["09:00", "12:00", "13:00", "17:00"].map((t, n) => MARK(n % 2 ? "out" : "in", at(date, t), "excused")),
      unsynced: [MARK("in", at(date, "09:00"), "unsynced"), MARK("out", at(date, "12:00"), "upcoming"), MARK("in", at(date, "13:00"), "upcoming"), MARK("out", at(date, "17:00"), "upcoming")],
      early: [MARK("in", at(date, "09:00"), "on_time", at(date, "08:55")), MARK("out", at(date, "12:00"), "early", at(date, "11:40"), 20), MARK("in", at(date, "13:00"), "on_time", at(date, "12:59")), MARK("out", at(date, "17:00"), "on_time", at(date, "17:30"))],
    }[state];
    return { hall: p.hall, employee: p.number, name: p.name, unit: p.unit, window: p.window, date, calendar: { kind: "workday", name: null }, shift: { id: "s", name: "窗口四次卡", version: 2, timetable: "冬令作息" }, state, marks, halves: ["present", "present"], figures: NONE, settled: state === "normal" };
  };
  const request = (p, i, state) => ({
    id: `ar-${i}`, hall: p.hall, employee: p.number, name: p.name, wanted: i % 2 ? { kind: "leave", leave: "sick", from: hallDate(), from_half: "afternoon", to: hallDate(), to_half: "afternoon" } : { kind: "punch", date: hallDate(), mark: 1 },
    reason: i % 2 ? "感冒发烧，下午去医院" : "下班时考勤机断电，当时仍在窗口办件", asked_by: i === 2 ? "admin" : "hr", asked_at: at(hallDate(), "09:40"), state, decided_by: state === "asked" ? null : "hall", decided_at: state === "asked" ? null : at(hallDate(), "10:05"), note: null, mine_to_decide: state === "asked" && i !== 2,
  });
  const terminal = (hall) => ({ device: `${hall}-A01-attendance`, hall, health: "up", synced_to: new Date(Date.now() - 90_000).toISOString(), clock_offset: hall.endsWith("02") ? 47 : 0 });
  const sign = (p) => [{ window: p.window, from: at(hallDate(), "08:57"), until: null }];
  const served = (p) => Array.from({ length: 14 }, (_, i) => ({ case_id: `450103-01-20261124-000${10 + i}-C`, window: p.window, ticket: `A0${10 + i}`, called_at: at(hallDate(), `${String(9 + Math.floor(i / 4)).padStart(2, "0")}:${String((i % 4) * 13 + 3).padStart(2, "0")}`), ended_at: null }));
  const shift = { name: "窗口四次卡", periods: [["2026-05-01", "夏令作息", "17:30"], ["2026-10-08", "冬令作息", "17:00"]].map(([from, name, end]) => ({ from, name, other_days: [], rules: { grace_late_s: 59, grace_early_s: 0, half_absent_min: 30, absent_min: null, missing: "missing", overtime_from_min: 30 }, spans: [{ start: { from: "08:20", due: "09:00", until: "11:00" }, end: { from: "11:00", due: "12:00", until: "12:15" } }, { start: { from: "12:20", due: "13:00", until: "15:00" }, end: { from: "15:00", due: end, until: "18:30" } }] })) };
  return (path, url) => {
    const hall = url.searchParams.get("hall");
    const of = people.filter((p) => !hall || p.hall === hall);
    const list = (items) => [200, { items, next: null }];
    const as_of = new Date().toISOString();
    if (path === "/staff") return list(of);
    if (path === "/attendance/days") {
      const date = url.searchParams.get("date") ?? hallDate();
      const items = of.map((p, i) => day(p, i, date));
      const counts = {};
      for (const row of items) counts[row.state] = (counts[row.state] ?? 0) + 1;
      return [200, { items, next: null, date, as_of, counts, halls: halls.filter((h) => !hall || h.id === hall).map((h) => ({ hall: h.id, name: h.name, zone: "Asia/Shanghai", synced_to: terminal(h.id).synced_to, terminals: [terminal(h.id)], calendar: [], strangers: h.id.endsWith("07-01") ? ["9001"] : [] })) }];
    }
    const month = /^\/attendance\/months\/(\d{4}-\d\d)$/.exec(path);
    if (month) {
      const dates = Array.from({ length: 30 }, (_, i) => `${month[1]}-${String(i + 1).padStart(2, "0")}`).map((date) => ({ date, calendar: { kind: [0, 6].includes(new Date(`${date}T12:00:00Z`).getUTCDay()) ? "weekend" : "workday", name: null } }));
      const symbols = ["√", "√", "√", "△", "√", "○", "√", "×√", "公", "病"];
      const states = ["normal", "normal", "normal", "late", "normal", "missing", "normal", "half_absent", "trip", "leave"];
      const items = of.map((p, n) => ({ employee: p.number, name: p.name, unit: p.unit, window: p.window, days: dates.map((d, i) => (d.calendar.kind === "weekend" || i > 23 ? { state: "rest", symbol: "", settled: true } : { state: states[(i * 7 + n * 3) % 10], symbol: symbols[(i * 7 + n * 3) % 10], settled: true })), figures: { ...NONE, due_halves: 34, worked_halves: 31, late: 2, late_min: 19, missing: 1, absent_halves: 1, trip_halves: 2, corrected: 1, overtime_min: 95 }, leave_halves: { sick: 2 } }));
      return [200, { hall, name: halls.find((h) => h.id === hall)?.name ?? "", month: month[1], dates, items, next: null, synced_to: as_of, as_of }];
    }
    const person = /^\/attendance\/people\/([^/]+)\/([^/]+)$/.exec(path);
    if (person) {
      const p = people.find((x) => x.number === person[2]) ?? people[0];
      const to = url.searchParams.get("to") ?? hallDate();
      const punch = (time, offset, counts, certainty = "measured", or = []) => ({ device: `${p.hall}-A01-attendance`, stamped_at: new Date(Date.parse(at(to, time)) + offset * 1000).toISOString(), at: at(to, time), offset, certainty, or, verify: 1, state: 255, live: true, counts });
      return [200, { hall: p.hall, hall_name: halls.find((h) => h.id === p.hall)?.name, employee: p.number, name: p.name, unit: p.unit, window: p.window, days: [day(p, 0, to), day(p, 1, to), day(p, 5, to)], punches: [punch("08:52", 47, true), punch("08:53", 47, false), punch("12:03", 47, true), punch("12:48", 47, true, "uncertain", [at(to, "12:28")])], sign_ins: sign(p), served: served(p), synced_to: as_of, as_of }];
    }
    if (path === "/attendance/requests") return list([request(people[0], 0, "asked"), request(people[1], 1, "asked"), request(people[2], 2, "asked"), request(people[3], 4, "approved")].filter((r) => !url.searchParams.get("state") || r.state === url.searchParams.get("state")));
    if (/^\/attendance\/requests\/[^/]+\/evidence$/.test(path)) return [200, { request: request(people[0], 0, "asked"), day: day(people[0], 5, hallDate()), sign_ins: sign(people[0]), served: served(people[0]), due: day(people[0], 5, hallDate()).marks.at(-1)?.due ?? null, zone: "Asia/Shanghai", seats: [["00:00", "08:51", "unknown", "nothing_said"], ["08:51", "12:04", "occupied", null], ["12:04", "12:40", "empty", null], ["12:40", "13:10", "unknown", "dark"], ["13:10", "17:20", "occupied", null], ["17:20", "18:00", "unknown", "hall_offline"]].map(([from, until, seat, why]) => ({ window: people[0].window, seat, why, from: at(hallDate(), from), until: at(hallDate(), until) })) }];
    if (path === "/attendance/on-duty") return [200, { next: null, synced_to: as_of, as_of, items: windows.filter((w) => w.hall === hall).map((w, i) => ({ window: w.id, number: w.number, name: w.name, people: i === 8 ? [] : [{ employee: of[i].number, name: of[i].name, rostered: true, signed_in: i === 2 ? null : at(hallDate(), "08:57"), punched_in: i === 4 ? null : at(hallDate(), "08:50"), punched_out: null, state: "working" }, ...(i === 3 ? [{ employee: "1099", name: null, rostered: false, signed_in: at(hallDate(), "09:30"), punched_in: null, punched_out: null, state: null }] : [])] })) }];
    if (path === "/attendance/shifts") return list([{ id: "s", scope: "450103", version: 2, changed_by: "hr", changed_at: as_of, mine: true, shift }]);
    if (path === "/attendance/rosters") return list([{ hall, employee: null, name: null, from: "2026-01-01", pattern: { kind: "workdays", shift: "s" }, changed_by: "hr", changed_at: as_of }, { hall, employee: "1003", name: of[2]?.name, from: "2026-11-01", pattern: { kind: "cycle", begins: "2026-11-01", days: ["s", "s", null, null], holidays_off: true }, changed_by: "hr", changed_at: as_of }]);
    if (path === "/attendance/calendars") return list([{ layer: "CN", year: 2026, source: "国务院办公厅关于2026年部分节假日安排的通知", off: [["01-01", "元旦"], ["01-02", "元旦"], ["01-03", "元旦"], ["10-01", "国庆节"], ["10-02", "国庆节"]].map(([d, name]) => ({ date: `2026-${d}`, name })), work: [{ date: "2026-01-04", name: "元旦" }, { date: "2026-10-10", name: "国庆节" }], key: null, imported_by: null, imported_at: null }]);
    return null;
  };
}
