// A stand-in for the control centre, for working on the site alone: serves dist/, the API and the wall socket with real
// frames. Development only: nothing of it is in the product, and its people and halls are invented.
//   node dev/mock.mjs [port]      any name, any password; "admin…" signs in as an administrator, "manager…" as a hall manager, "hr" as HR

import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { WebSocketServer } from "ws";
import { attendanceOf } from "./attendance-mock.mjs";
import { film } from "./footage.mjs";
import { answerQueue } from "./queue-mock.mjs";
import { answerReplay, timelineOf } from "./replay-mock.mjs";
import { comparisonOf, overviewOf, ratingsOf, reportOf } from "./supervision-mock.mjs";

const port = Number(process.argv[2] ?? 8099);
const dist = join(import.meta.dirname, "../dist");
const hues = [0, 40, 80, 140, 200, 260];
const subs = hues.map((h, i) => film(`sub-${i}`, i % 2 ? "window-b-sub.mp4" : "window-a-sub.mp4", `hue=h=${h}`, "640x360", 12, i === 3 ? ["-bf", "2"] : []));
const mains = [film("main-0", "window-a-main.mp4", "null", "1280x720", 25), film("main-1", "window-b-main.mp4", "null", "1280x720", 25)];

const areas = [
  { id: "450000", parent: null, name: "广西壮族自治区", level: "region" },
  { id: "450100", parent: "450000", name: "南宁市", level: "city" }, { id: "450103", parent: "450100", name: "青秀区", level: "county" },
  { id: "450107", parent: "450100", name: "西乡塘区", level: "county" }, { id: "450200", parent: "450000", name: "柳州市", level: "city" },
  { id: "450203", parent: "450200", name: "鱼峰区", level: "county" },
];
const halls = [
  { id: "450103-01", name: "青秀区政务服务中心", area: "450103" }, { id: "450103-02", name: "青秀区办税服务厅", area: "450103" },
  { id: "450107-01", name: "西乡塘区政务服务中心", area: "450107" }, { id: "450203-01", name: "鱼峰区政务服务中心", area: "450203" },
];
const clerks = ["韦老师", "黄老师", "覃老师", "莫老师", "梁老师", "李老师", "陆老师", "农老师", "蓝老师"];
const kinds = ["综合窗口", "不动产登记", "社保医保", "税务", "公安户政", "市场监管", "建设工程", "出入境", "公积金"];
const iso = (ms = Date.now()) => new Date(ms).toISOString();
const windows = [];
const cameras = [];
const cases = new Map();
let serial = 0;
for (const hall of halls) {
  for (let n = 1; n <= 9; n += 1) {
    const id = `${hall.id}-W${String(n).padStart(2, "0")}`;
    windows.push({ id, window: id, hall: hall.id, number: n, name: kinds[n - 1], state: "idle", ticket: null, case_id: null, clerk: { number: `10${n}`, name: clerks[(n + windows.length) % 9] },
      waiting: 3 + (n % 4), last_rating: null, waiting_since: iso(Date.now() - n * 240_000), since: iso(), updated_at: iso(), pause_reason: null, next: Date.now() + windows.length * 300 });
    cameras.push({ id: `${id}-C1`, hall: hall.id, window: id, name: `${kinds[n - 1]}摄像机`, kind: "window", state: "live", why: null });
  }
  cameras.push({ id: `${hall.id}-S01`, hall: hall.id, window: null, name: "取号区全景", kind: "security", state: "live", why: null });
}
Object.assign(cameras[4], { state: "offline", why: "摄像机拒绝密码 (401)，60 秒后重试" });
const frozen = cameras[7].id;
const h265 = cameras[10].id;
windows[5].state = "paused"; windows[5].next = Infinity; windows[8].state = "closed"; windows[8].next = Infinity; windows[8].clerk = null;

const caseEvent = (w, kind, body = {}) => {
  const file = cases.get(w.case_id);
  file?.events.push({ seq: file.events.length + 1, kind, at: iso(), window: w.id, device: null, clock: "synchronised", body });
};
const sockets = new Set();
const offline = ["450203-01"];
let presets = [];
let told = 0;
/** Now and then something goes wrong, and is over. */
function alarm(kind, w, more = {}) {
  told += 1;
  const row = { n: told, kind, at: iso(), hall: w.hall, window: w.id, device: `${w.id}-C1`, case_id: null, grade: null, why: null, over: false, ...more };
  for (const s of sockets) if (s.alarms) s.send(JSON.stringify({ alarms: [row] }));
}
setInterval(() => alarm("camera.down", windows[12], { why: "the camera cannot be reached" }), 9000);
setInterval(() => alarm("device.silent", windows[3], { device: `${windows[3].id}-evaluator` }), 15_000);
setInterval(() => alarm("camera.up", windows[12], { over: true }), 23_000);
function step(w) {
  const now = Date.now();
  const to = (state, ms) => Object.assign(w, { state, since: iso(), updated_at: iso(), next: now + ms * (0.6 + Math.random()) });
  if (w.state === "idle") {
    serial += 1;
    w.ticket = `A${String(serial).padStart(3, "0")}`;
    w.case_id = `${w.hall}-20261122-${String(serial).padStart(5, "0")}-${"ABCDEFGHJK"[serial % 10]}`;
    cases.set(w.case_id, { case_id: w.case_id, state: "called", opened_at: iso(now - 240_000), closed_at: null, hall: w.hall, window: w.id, ticket: w.ticket, clerk: w.clerk.number, clerk_name: w.clerk.name, grade: null, official_no: null,
      events: [{ seq: 1, kind: "ticket.issued", at: iso(now - 240_000), body: { ticket: w.ticket, business: w.name } }, { seq: 2, kind: "case.opened", at: iso(now - 240_000), body: {} }] });
    caseEvent(w, "ticket.called", { ticket: w.ticket });
    cases.get(w.case_id).called_at = iso();
    w.waiting = Math.max(0, w.waiting - 1 + Math.round(Math.random() * 2));
    to("called", 5000);
  } else if (w.state === "called") { caseEvent(w, "service.started"); cases.get(w.case_id).state = "serving"; to("serving", 40_000);
  } else if (w.state === "serving") { caseEvent(w, "service.ended", { ended_by: "evaluate" }); caseEvent(w, "rating.invited"); to("rating", 6000);
  } else {
    const grade = [5, 5, 5, 4, 4, 3, 1][serial % 7];
    if (grade === 1) alarm("rating.given", w, { grade, case_id: w.case_id });
    caseEvent(w, "rating.given", { grade, raw: 5 - grade });
    caseEvent(w, "case.closed", { ended_by: "rated" });
    Object.assign(cases.get(w.case_id), { state: "closed", closed_at: iso(), grade });
    Object.assign(w, { last_rating: { grade, at: iso() }, ticket: null, case_id: null });
    to("idle", 8000);
  }
  const { next, ...row } = w;
  for (const s of sockets) if (s.states) s.send(JSON.stringify({ windows: [row] }));
}
for (const w of windows) for (let i = windows.indexOf(w) % 4; i > 0 && w.next !== Infinity; i -= 1) step(w);
setInterval(() => windows.forEach((w) => w.next < Date.now() && step(w)), 250);

function counts(test) {
  const own = cameras.filter((c) => test(c.hall));
  return { halls: halls.filter((h) => test(h.id)).length, windows: own.filter((c) => c.window).length, cameras: own.length, cameras_live: own.filter((c) => c.state === "live").length, alarms: own.filter((c) => c.state !== "live").length };
}
const below = (id, hall) => {
  let at = halls.find((h) => h.id === hall).area;
  while (at && at !== id) at = areas.find((a) => a.id === at).parent;
  return at === id;
};
let user = null;
const attendance = attendanceOf(halls, windows);
function answer(method, url, body) {
  const path = url.pathname.replace("/api/v1", "");
  const q = url.searchParams;
  const problem = (status, title, detail) => [status, { type: "about:blank", title, status, detail }];
  const list = (items) => [200, { items, next: null }];
  if (path === "/session" && method === "POST") {
    if (body.password === "wrong") return problem(401, "用户名或密码不正确", "请核对后再试；连续五次错误将暂停登录一分钟。");
    user = { name: body.name, role: body.name.startsWith("admin") ? "administrator" : body.name.startsWith("manager") ? "hall_manager" : body.name === "hr" ? "hr" : "supervisor", area: "450000", area_name: "广西壮族自治区", must_change: false };
    return [200, { user }];
  }
  if (path === "/session" && method === "DELETE") { user = null; return [204, null]; }
  if (user === null) return problem(401, "尚未登录", "请先登录。");
  if (path === "/session") return [200, { user }];
  const said = attendance(path, url);
  if (said) return said;
  if (path.endsWith("/overview")) return [200, overviewOf(path.split("/")[2], { areas, halls, cameras, windows, offline })];
  if (path.endsWith("/report")) return [200, reportOf(path.split("/")[2], q.get("period") ?? "month", q.get("by") === "hall", { areas, halls })];
  if (path.endsWith("/comparison")) return [200, comparisonOf(path.split("/")[2], q.get("figure"), { areas, halls })];
  if (path === "/ratings") return list(ratingsOf(halls));
  if (path === "/webhooks") return list([{ id: "wh-1", name: "审批系统", url: "https://approval.gx/hallwatch", kinds: ["rating.given", "case."], scope: "450103", has_ca: true, enabled: true, state: "failing", behind: 31, delivered: 81_204, failures: 3, next_at: iso(Date.now() + 4000), last_ok_at: iso(Date.now() - 60_000), last_error: "approval.gx:443 does not answer", created_by: "admin", created_at: iso() }]);
  if (path === "/areas") return list(areas.map((a) => ({ ...a, counts: counts((h) => below(a.id, h)) })));
  if (path === "/halls") return list(halls.map((h) => ({ ...h, counts: counts((id) => id === h.id) })));
  if (path === "/cameras") return list(cameras);
  if (path === "/coverage") return [200, { items: [], total: { window_events: 4210, tagged: 4187, coverage: 4187 / 4210 } }];
  if (path === "/nodes") return list(halls.map((h, i) => ({ id: `hall-${h.id}`, hall: h.id, hall_name: h.name, version: "0.1.0", revoked: false, connected: i !== 2, outbox_depth: i === 2 ? null : i, clock_offset_ms: i === 2 ? null : 12 * i, quarantined: i === 3 ? "forked" : null, alarm: i === 3 ? "同一序号出现不同的事件" : null, last_seen: iso(Date.now() - (i === 2 ? 5_400_000 : 2000)), certificate_expires_at: iso(Date.now() + 5e9) })));
  if (/^\/halls\/[^/]+\/windows$/.test(path)) return list(windows.filter((w) => w.hall === path.split("/")[2]).map(({ next, ...w }) => w));
  const queue = answerQueue(method, path, q, body, windows);
  if (queue) return queue;
  if (/pairing-codes$/.test(path)) return [201, { code: "K7QF-2M9X-TT4D-8WZC", pin: "sha256:9f2c1a77b04e5d3c8810aa9e4b1f6d2277c03e95", expires_at: iso(Date.now() + 86_400_000), command: "edge-agent enrol --centre https://centre.example --code K7QF-2M9X-TT4D-8WZC" }];
  if (path.startsWith("/sessions")) return method === "DELETE" ? [204, null] : list(["admin", "wei", "tang"].map((name, i) => ({ id: `s${i}`, user: q.get("everybody") ? name : user.name, address: `10.45.1.${20 + i}`, agent: i === 1 ? "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36" : "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0", created_at: iso(Date.now() - 3e6 * (i + 1)), seen_at: iso(Date.now() - 60_000 * i), current: i === 0 })));
  if (path === "/session/second-factor" && method === "POST") return [201, { secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", uri: "otpauth://totp/Hallwatch:admin?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Hallwatch" }];
  if (path.startsWith("/session/second-factor")) return [204, null];
  if (path === "/users" && method === "POST") return [201, { password: "ab3de-fgh5j-k7mno-pq2st" }];
  if (path.startsWith("/users/")) return body?.reset_password ? [200, { password: "ab3de-fgh5j-k7mno-pq2st" }] : [200, null];
  if (path === "/users") return list([["admin", "administrator", "450000"], ["wei", "supervisor", "450100"], ["tang", "hall_manager", "450103-01"], ["nong", "hr", "450103"], ["lu", "technician", "450000"]].map(([name, role, scope], i) => ({ name, grants: i === 2 ? [{ role, scope }, { role: "hr", scope }] : [{ role, scope }], must_change: i === 3, disabled: i === 4, second_factor: i < 2, created_at: iso(Date.now() - 9e8), signed_in_at: i === 3 ? null : iso(Date.now() - 4e6 * (i + 1)) })));
  if (path === "/second-factor-roles") return [200, { roles: ["administrator", "supervisor", "hall_manager", "hr", "technician"].map((role, i) => ({ role, required: body?.roles ? body.roles.includes(role) : i === 0, people: 2 + i * 3, without: i * 2 })) }];
  if (path === "/recording-rules") return list([{ hall: "450103-01", days: 90, set_by: "admin", set_at: iso(Date.now() - 9e7), state: "done", why: "footage is kept 90 days" }, { hall: "450102-01", days: 60, set_by: "admin", set_at: iso(Date.now() - 6e5), state: "waiting", why: null }]);
  if (path.endsWith("/recording-rule")) return [202, { id: "c1", expires_at: iso(Date.now() + 2.6e9) }];
  if (path === "/authority") {
    const one = (c, days) => ({ pin: c.repeat(8), since: iso(Date.now() - days * 86_400_000), pem: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" });
    const nodes = ["青秀区政务服务中心", "兴宁区政务服务中心", "灵山县政务服务中心"].map((hall_name, i) => ({ node: `hall-45010${3 - i}-01`, hall: `45010${3 - i}-01`, hall_name, renewed: i !== 1, connected: i !== 1, last_seen: iso(Date.now() - i * 7_200_000), expires_at: iso(Date.now() + (i + 20) * 86_400_000) }));
    return [200, { signer: one("4d07e178", 0), former: one("9a3c55f0", 400), renewed: 2, left: 1, nodes }];
  }
  if (path === "/audit/state") return [200, { rows: 48_213, hash: "ab".repeat(32), signed: 48_207, signed_at: iso(Date.now() - 40_000), key: "9f2c1a77b04e5d3c8810aa9e4b1f6d2277c03e959f2c1a77b04e5d3c8810aa9e", actions: ["area.added", "evidence.exported", "live.watch", "session.opened", "session.refused", "user.changed"] }];
  if (path === "/audit") return [200, { items: Array.from({ length: 40 }, (_, i) => ({ n: 48_213 - i, at: iso(Date.now() - i * 61_000), who: ["wei", "admin", "tang"][i % 3], action: ["live.watch", "session.opened", "evidence.exported", "user.changed", "case.viewed"][i % 5], object: i % 5 === 2 ? "450103-01-20261122-00042-C" : i % 5 === 3 ? "nong" : "450103-01-W01-C1", address: "10.45.1.20", detail: i % 5 === 3 ? '{"grants":[{"role":"hr","scope":"450103"}],"disabled":null,"reset_password":false}' : "" })), next: "48173" }];
  if (/^\/halls\/[^/]+\/setup$/.test(path)) return [200, { time_zone: "Asia/Shanghai", windows: windows.filter((w) => w.hall === path.split("/")[2]).map((w, i) => ({ id: w.id, number: w.number, name: w.name, businesses: i === 0 ? [] : [w.name, ...(i % 3 ? [] : ["综合受理"])] })), businesses: [...kinds, "综合受理"] }];
  if (/\/recordings$/.test(path)) return [200, { source: "hall", why: null, disk: { stopped: null, free_bytes: 4.2e11, holds_days: path.includes("450107") ? 41.5 : 112, keep_days: 90, short: path.includes("450107") } }];
  if (path === "/cases") return list([...cases.values()].filter((c) => (!q.get("hall") || c.hall === q.get("hall")) && (!q.get("window") || c.window === q.get("window"))).reverse().slice(0, Number(q.get("limit") ?? 500)).map(({ events, ...c }) => c));
  if (path === "/wall/presets" && method === "GET") return list(presets);
  if (path === "/wall/presets" && method === "POST") {
    const id = `wp-${presets.length + 1}`;
    presets.push({ id, ...body, owner: user.name, mine: true, scope_name: areas.concat(halls).find((a) => a.id === body.scope)?.name ?? null, updated_at: iso(), hidden: 0 });
    return [201, { id }];
  }
  if (path.startsWith("/wall/presets/")) {
    const id = path.split("/").at(-1);
    if (method === "DELETE") presets = presets.filter((p) => p.id !== id);
    else presets = presets.map((p) => (p.id === id ? { ...p, ...body } : p));
    return [204, null];
  }
  if (path.endsWith("/timeline")) {
    const of = cases.get(decodeURIComponent(path.split("/")[2]));
    return of ? [200, timelineOf(of, cameras.filter((c) => c.window === of.window || (c.hall === of.hall && c.kind === "security")), offline)] : problem(404, "找不到", "");
  }
  const file = cases.get(decodeURIComponent(path.replace("/cases/", "")));
  return file ? [200, file] : problem(404, "找不到", `${path} 不存在。`);
}

const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const server = createServer((request, response) => {
  const url = new URL(request.url, "http://mock");
  if (user !== null && answerReplay(request, response, url, offline)) return;
  if (url.pathname.startsWith("/api/")) {
    let text = "";
    request.on("data", (d) => (text += d)).on("end", () => {
      const [status, said] = answer(request.method, url, text ? JSON.parse(text) : {});
      response.writeHead(status, { "content-type": status >= 400 ? "application/problem+json" : "application/json" });
      response.end(said === null ? "" : JSON.stringify(said));
    });
    return;
  }
  let file = join(dist, normalize(url.pathname));
  if (!existsSync(file) || statSync(file).isDirectory()) file = join(dist, "index.html");
  response.writeHead(200, {
    "content-type": types[extname(file)] ?? "application/octet-stream",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
  });
  createReadStream(file).pipe(response);
});

const tiers = ["main", "sub", "key", "still"];
function message(kind, key, tier, stream, pts, captured, payload) {
  const head = Buffer.alloc(24);
  head.set([1, kind, key ? 1 : 0, tiers.indexOf(tier)]);
  head.writeUInt32LE(stream, 4);
  head.writeBigInt64LE(BigInt(Math.round(pts)), 8);
  head.writeBigInt64LE(BigInt(Math.round(captured)), 16);
  return Buffer.concat([head, payload ?? Buffer.alloc(0)]);
}
let streamNo = 0;
const began = Date.now();
new WebSocketServer({ server, path: "/api/v1/wall" }).on("connection", (socket) => {
  sockets.add(socket);
  const live = new Map();
  const stop = (key) => { clearTimeout(live.get(key).timer); live.delete(key); };
  socket.on("close", () => { sockets.delete(socket); [...live.keys()].forEach(stop); });
  socket.on("message", (data) => {
    const { watch, states, alarms } = JSON.parse(data);
    socket.alarms ||= alarms === true;
    if (states && !socket.states) { socket.states = true; socket.send(JSON.stringify({ windows: windows.map(({ next, ...w }) => w) })); }
    const wanted = new Set(watch.map((w) => `${w.camera}/${w.tier}`));
    [...live.keys()].filter((k) => !wanted.has(k)).forEach(stop);
    const start = [];
    const rows = watch.map((w) => {
      const index = cameras.findIndex((c) => c.id === w.camera);
      const camera = cameras[index];
      const none = { tile: w.tile, stream: null, codec: null, width: null, height: null };
      if (!camera) return { ...none, state: "forbidden", why: null };
      if (camera.state !== "live") return { ...none, state: "offline", why: camera.why };
      if (w.camera === h265 && w.tier !== "still") return { ...none, state: "unsupported", why: "H.265，浏览器不能播放" };
      const key = `${w.camera}/${w.tier}`;
      const film = w.tier === "main" ? mains[index % mains.length] : subs[index % subs.length];
      if (!live.has(key)) { live.set(key, { stream: ++streamNo, film }); start.push(key); }
      return { tile: w.tile, stream: live.get(key).stream, state: "live", why: null, codec: w.tier === "still" ? "jpeg" : film.codec, width: film.width, height: film.height };
    });
    socket.send(JSON.stringify({ streams: rows }));
    for (const key of start) {
      const [camera, tier] = key.split("/");
      const { stream, film } = live.get(key);
      if (tier !== "still") socket.send(message(0, false, tier, stream, 0, Date.now() * 1000, film.record));
      const position = ((Date.now() - began) * 1000) % film.length;
      const loop = Math.floor(((Date.now() - began) * 1000) / film.length);
      let n = film.frames.length - 1;
      while (n > 0 && !(film.frames[n].key && film.frames[n].pts <= position)) n -= 1;
      const at = { n, loop };
      const sent = Date.now();
      const tick = () => {
        if (!live.has(key)) return;
        for (;;) {
          const frame = film.frames[at.n];
          const due = began + (at.loop * film.length + at.n * film.frameUs) / 1000;
          if (due > Date.now()) return void (live.get(key).timer = setTimeout(tick, Math.max(1, due - Date.now())));
          const stuck = camera === frozen && Date.now() - sent > 4000;
          if (!stuck && (tier === "still" ? frame.key : tier !== "key" || frame.key)) {
            socket.send(message(1, frame.key, tier, stream, at.loop * film.length + frame.pts, due * 1000, tier === "still" ? film.jpeg : frame.bytes));
          }
          at.n += 1;
          if (at.n === film.frames.length) { at.n = 0; at.loop += 1; }
        }
      };
      tick();
    }
  });
});
server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));
