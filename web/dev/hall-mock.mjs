// A stand-in for a hall's machine, for working on the technician's pages alone: serves dist-hall/ and the pairing API with
// invented devices that press their own keys. Development only: nothing of it is in the product.
//   node dev/hall-mock.mjs [port] [still.jpg]      any pass of the right form: hwp1.a.b

import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const port = Number(process.argv[2] ?? 8098);
const dist = join(import.meta.dirname, "../dist-hall");
const HALL = "450103-01";
const PORT = "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0";
const iso = (ms = Date.now()) => new Date(ms).toISOString();
const names = ["综合窗口", "不动产登记", "社保医保", "税务", "公安户政", "市场监管", "7号窗口", "出入境", "公积金"];
const windows = names.map((name, i) => ({ id: `${HALL}-W0${i + 1}`, number: i + 1, name }));
const health = (state, more = {}) => ({ state, since: iso(Date.now() - 3_600_000), why: null, bad_frames_per_minute: null, clock_offset_s: null, last_reading_at: iso(Date.now() - 12_000), ...more });
const place = (window, role, state, more = {}) => ({
  id: `${window ?? HALL}-${role}`, window: window?.includes("-W") ? window : null, role, health: state, hardware: { kind: role, identity: `serial:usb-1a86_USB_Serial-if00-port0#${Number(window?.slice(-2)) || 1}`, serial: null },
  connection: { kind: `bus_${role}`, port: PORT, baud: 9600, address: Number(window?.slice(-2)) || 1 }, bound_at: iso(Date.now() - 86_400_000 * 9), source: "config", in_test: false, grades: role === "evaluator" ? { map: { "04": 5, "03": 4, "02": 3, "01": 2, "00": 1 }, confirmed_by: "li", confirmed_at: iso() } : null,
  history: [{ hardware: { identity: "serial:old#1" }, connection: null, from: iso(Date.now() - 86_400_000 * 300), to: iso(Date.now() - 86_400_000 * 9), why: "paired", by: "wang", visit: "v-0" }], ...more,
});
const positions = [
  ...[1, 2, 3].flatMap((n) => [place(`${HALL}-W0${n}`, "keypad", health("online")), place(`${HALL}-W0${n}`, "evaluator", n === 2 ? health("unconfirmed") : n === 3 ? health("degraded", { bad_frames_per_minute: 14 }) : health("online"))]),
  place(`${HALL}-W07`, "keypad", health("down", { why: "it hung up (unplugged, or switched off)", last_reading_at: null })),
  place(`${HALL}-T01`, "ticket", health("silent"), { window: null, connection: { kind: "printer_tap", port: "/dev/ttyS1", baud: 9600 } }),
  place(`${HALL}-A01`, "attendance", health("online", { clock_offset_s: 12 }), { window: null, connection: { kind: "zk", address: "192.168.1.20:4370" } }),
];
let session = null;
let visit = null;
let endsAt = 0;
let photos = new Map();
let sniffed = null;
/** What the invented camera sees: a picture given on the command line. */
const STILL = process.argv[3] ? readFileSync(process.argv[3]) : Buffer.alloc(0);
let live = [];
const visits = new Map();
const undo = [];
const waiters = new Set();
const screens = new Set();

const shown = () => ({ ...visit, left_ms: visit.closed ? 0 : Math.max(0, endsAt - Date.now()) });
const say = (item) => {
  live.push({ n: live.length + 1, at: iso(), position: null, candidate: null, ...item });
  waiters.forEach((wake) => wake());
};
const heard = (position, raw) => {
  const test = visit.tests.find((x) => x.position === position && !x.ended_at);
  if (!test) return;
  const grade = positions.find((p) => p.id === position)?.grades?.map?.[raw] ?? null;
  const known = test.heard.find((h) => h.raw === raw);
  if (known) known.count += 1;
  else test.heard.push({ raw, count: 1, grade });
  say({ position, kind: "grade", raw, grade });
};

class Refusal extends Error {
  constructor(status, code, params = {}) {
    super(code);
    Object.assign(this, { status, code, params });
  }
}
const open = () => {
  if (!visit || visit.closed) throw new Refusal(404, "no-visit");
  return visit;
};
const step = (kind, detail) => visit.steps.push({ n: visit.steps.length + 1, at: iso(), who: "li", kind, detail, digest: "0".repeat(64) });

const routes = {
  "GET hall": () => ({ hall: HALL, name: "青秀区政务服务中心", time: iso(), clock: "synchronised", centre: { connected: false, why: "no route" }, windows, technician: { name: "li", door: "hall", until: iso(Date.now() + 5 * 3_600_000) } }),
  "GET positions": () => ({ items: positions.map(({ history, ...p }) => p), next: null }),
  "GET visit": () => { if (!visit) throw new Refusal(404, "no-visit"); if (visit.closed) throw new Refusal(404, "no-visit"); return shown(); },
  "POST visit": ({ minutes, approver, window }) => {
    if (minutes > 10 && !approver) throw new Refusal(422, "approver-needed", { most_minutes: 480 });
    if (!visit || visit.closed) {
      visit = { id: `v-${Date.now()}`, technician: "li", door: "hall", approver, opened_at: iso(), expires_at: iso(Date.now() + minutes * 60_000), closed: null, window, searches: [], candidates: [], bound: [], tests: [], points: { quantity: null, place: null, picture: null, display: null, link: null }, signed: null, steps: [], chain: "whole" };
      endsAt = Date.now() + minutes * 60_000;
      visits.set(visit.id, visit);
      live = [];
      step("opened", { minutes });
    }
    return shown();
  },
  "POST visit/extend": ({ minutes }) => { open(); endsAt = Date.now() + minutes * 60_000; step("extended", { minutes }); return shown(); },
  "POST visit/close": () => { open().closed = { at: iso(), why: "left" }; step("closed", { why: "left" }); return shown(); },
  "POST visit/window": ({ window }) => { open().window = window; step("window_chosen", { window }); return shown(); },
  "GET visit/sources": () => ({ items: [
    { source: "bus", ports: [{ port: PORT, label: "USB Serial (1a86)", in_use_by: [`${HALL}-W01-keypad`], baud: 9600 }, { port: "/dev/ttyS0", label: "ttyS0", in_use_by: [], baud: null }], bauds: [9600] },
    { source: "attendance", suggested: ["192.168.1.0/24"], most_addresses: 1024 }, { source: "camera", suggested: ["192.168.1.0/24"], most_addresses: 1024, http_ports: [80], rtsp_port: 554 },
    { source: "unknown", ports: [{ port: "/dev/ttyS0", label: "ttyS0", in_use_by: [], baud: null, can_listen: true }], bauds: [9600] },
    { source: "push", listen: "0.0.0.0:8081" },
    { source: "stated", kinds: ["bus_keypad", "bus_evaluator", "printer_tap", "zk", "camera", "push", "fingerprint", "printer", "profile"], profiles: [{ name: "syn6288-voice", title: "SYN6288 语音", roles: ["voice"], keyboard: false }, { name: "usb-boot-keyboard-evaluator", title: "USB 键盘评价器", roles: ["evaluator"], keyboard: true }] },
  ] }),
  "GET visit/credentials": () => ({ items: [{ name: "clocks" }] }),
  "POST visit/credentials": () => null,
  "POST visit/searches": ({ source, port, addresses, connection }) => {
    const id = `s${open().searches.length + 1}`;
    const search = { id, source, range: source === "bus" ? { port, baud: 9600, addresses: "0-255" } : { addresses: addresses ?? null }, state: source === "bus" || source === "unknown" ? "listening" : source === "stated" ? "done" : "searching", began_at: iso(), tried: source === "attendance" ? 12 : null, of: source === "attendance" ? 256 : null, why: null };
    visit.searches.push(search);
    const found = (kind, more) => {
      const c = { id: `c${visit.candidates.length + 1}`, search: id, source, kind, hardware: { identity: `serial:usb-1a86_USB_Serial-if00-port0#${visit.candidates.length + 7}` }, found_at: iso(), bound_to: null, identify: [], is_it: null, facts: {}, ...more };
      visit.candidates.push(c);
      return c;
    };
    if (source === "bus") setTimeout(() => {
      const c = found("bus_evaluator", { connection: { kind: "bus_evaluator", port, baud: 9600, ack_form: "A", address: 7 }, identify: ["evaluate"] });
      found("bus_keypad", { connection: { kind: "bus_keypad", port, baud: 9600, address: 7 }, identify: ["beep"], bound_to: `${HALL}-W01-keypad` });
      for (let i = 1; i < 60; i += 1) setTimeout(() => visit && !visit.closed && say({ candidate: c.id, kind: "grade", raw: "04", grade: null }), i * 1_500);
    }, 1_200);
    else if (source === "camera") {
      search.range = { addresses, interfaces: ["192.168.1.5"], http_ports: [80], rtsp_port: 554 };
      const known = { onvif: "http://192.168.1.64/onvif/device_service", rtsp: "192.168.1.64:554", described: false, needs_credential: true, in_use_by: [] };
      setTimeout(() => {
        search.state = "done";
        const at = (host, more) => found("camera", { connection: { kind: "camera", main: `rtsp://${host}:554/`, sub: null, user: null, credential: null }, hardware: { kind: "camera", identity: `urn:uuid:${host}` }, facts: { ...known, address: host, name: "窗口 7", model: "DS-2CD3", ...more } });
        at("192.168.1.64", {});
        at("192.168.1.65", { in_use_by: [`${HALL}-W01-C1`], onvif: null, name: null, model: null, server: "H264DVR 1.0" });
      }, 600);
    } else if (source === "unknown") sniffed = { listening: true, now: null, wanted: 3, heard: [5, 4, 3, 2, 1].map((grade) => ({ grade, presses: 0, last: null })), quiet: 0, over: null, draft: null };
    else if (source === "stated") found(connection.kind, { connection });
    step("search_began", { range: search.range });
    return shown();
  },
  "POST visit/identify": ({ candidate, how }) => {
    step("identify", { candidate, how });
    if (how !== "still") return { how, done: true };
    photos.set("p9", STILL);
    return { how, done: true, photo: "p9", width: 1280, height: 720 };
  },
  "POST visit/streams": ({ candidate, user, credential, main, sub }) => {
    const c = open().candidates.find((x) => x.id === candidate);
    if (credential === "clocks") throw new Refusal(502, "camera", { why: "unauthorized", detail: "refused" });
    const stream = (name, width, height, kbps) => ({ name, uri: `rtsp://192.168.1.64/${name}`, codec: "h264", width, height, fps: 25, gop: 50, kbps });
    Object.assign(c, { identify: ["still"], connection: { kind: "camera", main: main ?? "rtsp://192.168.1.64/mainStream", sub: main ? (sub ?? null) : "rtsp://192.168.1.64/subStream", user, credential }, facts: { ...c.facts, described: true, maker: "Hikvision", firmware: "V5.7.3", clock_offset_s: 3.2, streams: c.facts.onvif ? [stream("mainStream", 1920, 1080, 4096), stream("subStream", 640, 360, 512)] : [] } });
    return shown();
  },
  "POST visit/sniff/press": ({ grade, again }) => {
    const row = sniffed.heard.find((h) => h.grade === grade);
    Object.assign(sniffed, { now: grade, draft: null });
    if (again) row.presses = 0;
    for (let i = 1; row && i <= 3; i += 1) setTimeout(() => sniffed.now === grade && Object.assign(row, { presses: Math.min(3, row.presses + 1), last: `5A C3 07 01 0${i} ${15 + grade} A${i}` }), i * 400);
    return sniffed;
  },
  "POST visit/sniff/propose": ({ name, title }) => Object.assign(sniffed, { draft: { name, tests: 5, toml: `profile = "${name}"\ntitle = "${title}"\n\n[transport]\nkind = "serial"\nbaud = 9600\n`, grades: { 15: 5, 24: 4, 33: 3, 42: 2, 51: 1 }, frames: sniffed.heard.map((h) => ({ grade: h.grade, bytes: h.last })), findings: [{ code: "fixed_length", bytes: 7 }, { code: "checksum", kind: "xor8", from: 0, to: 6, at: 6 }, { code: "key_byte", offset: 5, mask: 255 }, { code: "changing", offset: 4 }, { code: "address_unknown" }] } }),
  "POST visit/sniff/keep": () => {
    const c = { id: `c${open().candidates.length + 1}`, search: visit.searches.at(-1).id, source: "unknown", kind: "evaluator", hardware: { identity: "serial:ttyS0" }, connection: { kind: "profile", line: { via: "serial", port: "/dev/ttyS0", baud: 9600 }, role: "evaluator", profile: sniffed.draft.name }, found_at: iso(), bound_to: null, identify: [], is_it: true, facts: { profile: sniffed.draft.name, grades: sniffed.draft.grades } };
    visit.candidates.push(c);
    return shown();
  },
  "POST visit/identified": ({ candidate, is_it }) => { open().candidates.find((c) => c.id === candidate).is_it = is_it; step("identified", { candidate, is_it }); return shown(); },
  "POST visit/bind": ({ candidate, position, case: how }) => {
    const c = open().candidates.find((x) => x.id === candidate);
    const there = positions.find((p) => p.id === position);
    if (there && how === "new") throw new Refusal(409, "position-occupied", { position, choices: ["replaced"] });
    if (c.bound_to && c.bound_to !== position && how === "new") throw new Refusal(409, "device-bound", { position: c.bound_to, choices: ["moved", "cloned"] });
    const camera = /-[CS]\d+$/.test(position);
    const next = { ...place(position.slice(0, position.lastIndexOf("-")), position.slice(position.lastIndexOf("-") + 1), health(position.endsWith("evaluator") ? "unconfirmed" : "online", { since: iso() })), id: position, source: "visit", grades: null, ...(camera ? { role: "camera" } : {}) };
    if (there) Object.assign(there, next);
    else positions.push(next);
    c.bound_to = position;
    const id = `u-${undo.length + 1}`;
    undo.push({ id, at: iso(), until: iso(Date.now() + 86_400_000), position, what: how === "replaced" ? "replace" : how === "moved" ? "move" : "bind", by: "li", undone_at: null });
    visit.bound.push({ position, candidate, undo: id, case: how, confirmed: false });
    step("bound", { position, case: how });
    return shown();
  },
  "POST visit/unbind": ({ position }) => { Object.assign(positions.find((p) => p.id === position), { health: health("unbound"), connection: null }); step("unbound", { position }); return shown(); },
  "POST visit/test": ({ position }) => {
    open().tests.push({ position, case_id: `${HALL}-20261122-99001-K`, began_at: iso(), ended_at: null, heard: [] });
    step("test_began", { position });
    if (position.endsWith("evaluator")) ["04", "03", "02", "01", "00"].forEach((raw, i) => setTimeout(() => heard(position, raw), 2_000 + i * 1_000));
    else if (position.endsWith("keypad")) setTimeout(() => say({ position, kind: "key", key: "call", digits: "" }), 1_000);
    else if (/-C\d+$/.test(position)) setTimeout(() => {
      const measured = (width, height, more) => ({ codec: "h264", profile: "Main", width, height, told_fps: 25, fps: 24.8, kbps: 2210, gop: { longest_s: 2 }, clock_offset_s: 3.2, seconds: 10, ...more });
      const clock = { severity: "notice", code: "clock_off", seconds: 3.2, change: { setting: "time_server" } };
      Object.assign(visit.tests.at(-1), { ended_at: iso(), audit: [
        { role: "main", url: "rtsp://192.168.1.64/mainStream", failed: null, report: { verdict: "good", findings: [clock], measured: measured(1920, 1080, {}) } },
        { role: "sub", url: "rtsp://192.168.1.64/subStream", failed: null, report: { verdict: "usable", findings: [{ severity: "warning", code: "gop_long", seconds: 4, at_least: false, change: { setting: "key_frame_interval", frames: 50 } }, clock], measured: measured(640, 360, { fps: 12.5, kbps: 480, gop: { longest_s: 4 } }) } },
      ] });
    }, 2_500);
    else setTimeout(() => say({ position, kind: "ticket", number: "A012", business: "社保", waiting: 3 }), 1_000);
    return shown();
  },
  "POST visit/test/end": ({ position }) => { open().tests.filter((x) => x.position === position).at(-1).ended_at ??= iso(); step("test_ended", { position }); return shown(); },
  "POST visit/grades": ({ position, map }) => {
    const p = positions.find((x) => x.id === position);
    Object.assign(p, { grades: { map, confirmed_by: "li", confirmed_at: iso() }, health: health("online") });
    visit.bound.filter((b) => b.position === position).forEach((b) => (b.confirmed = true));
    step("grades_confirmed", { position, map });
    return shown();
  },
  "POST visit/sign": ({ name, hall_name }) => { Object.assign(open(), { signed: { name, hall_name, at: iso() }, closed: { at: iso(), why: "signed" } }); step("signed", { name }); return shown(); },
  "GET visits": () => ({ items: [...visits.values()].reverse().map((v) => ({ id: v.id, technician: v.technician, window: v.window, opened_at: v.opened_at, closed: v.closed, signed: v.signed, positions: v.bound.map((b) => b.position) })), next: null }),
  "GET undo": () => ({ items: undo, next: null }),
};

async function answer(request, url, body) {
  const path = url.pathname.slice("/api/v1/pairing/".length);
  const route = routes[`${request.method} ${path}`];
  if (route) return route(body.length && /json/.test(request.headers["content-type"] ?? "") ? JSON.parse(body) : {});
  let found;
  if (path === "visit/live") {
    const after = Number(url.searchParams.get("after"));
    if (!live.some((l) => l.n > after)) await new Promise((done) => { waiters.add(done); setTimeout(done, Number(url.searchParams.get("wait")) * 1000); }).finally(() => waiters.clear());
    open();
    return { items: live.filter((l) => l.n > after), next: live.length };
  }
  if (path === "visit/sniff" && sniffed) return sniffed;
  if (path === "visit/photos") {
    const photo = `p${photos.size + 1}`;
    photos.set(photo, body);
    return { photo, width: 1280, height: 960, bytes: body.length };
  }
  if ((found = /^visit\/points\/(\w+)$/.exec(path))) { open().points[found[1]] = JSON.parse(body); step("judged", { point: found[1], judgement: JSON.parse(body) }); return shown(); }
  if ((found = /^visit\/searches\/(\w+)\/stop$/.exec(path))) { open().searches.find((s) => s.id === found[1]).state = "stopped"; return shown(); }
  if ((found = /^positions\/(.+)$/.exec(path))) { const p = positions.find((x) => x.id === decodeURIComponent(found[1])); if (p) return p; }
  if ((found = /^visits\/([^/]+)$/.exec(path)) && visits.has(found[1])) return { ...visits.get(found[1]), left_ms: 0 };
  if ((found = /^undo\/(.+)$/.exec(path))) { open(); const row = undo.find((u) => u.id === found[1]); row.undone_at = iso(); return { positions: [] }; }
  if (path === "import") return { dry_run: url.searchParams.has("dry_run"), applied: !url.searchParams.has("dry_run"), rows: [
    { line: 2, fate: "add", position: `${HALL}-W08-evaluator`, problems: [] }, { line: 3, fate: "same", position: `${HALL}-W01-keypad`, problems: [] },
    ...(body.includes("99") ? [{ line: 4, fate: "refuse", position: null, problems: [{ code: "no-window", params: { window: "99" } }] }] : []),
  ] };
  throw new Refusal(404, "not-found", { what: path });
}

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".ogg": "audio/ogg" };
createServer(async (request, response) => {
  const url = new URL(request.url, "http://x");
  const send = (status, json) => response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json" }).end(json === null ? "" : JSON.stringify(json));
  const refuse = (status, code, params = {}) => send(status, { type: `urn:hallwatch:problem:pairing:${code}`, title: code, status, detail: code, code, params });
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (url.pathname === "/api/v1/session") {
    if (request.method === "POST") {
      if (JSON.parse(body).pass.startsWith("hwp1.expired")) return refuse(403, "pass-refused", { why: "expired" });
      session = { technician: "li", hall: HALL, hall_name: "青秀区政务服务中心", until: iso(Date.now() + 5 * 3_600_000), pass: "sp-1" };
    }
    if (request.method === "DELETE") { session = null; return response.writeHead(204).end(); }
    return session ? send(200, session) : refuse(401, "no-session");
  }
  if (url.pathname === "/api/v1/callout") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const call = (number, window, ms = 0) => ({ id: `${number}-${window}-${ms}`, number, window, window_name: names[window - 1], kind: "call", at: iso(Date.now() - ms) });
    response.write(`event: recent\ndata: ${JSON.stringify({ calls: [call("A011", 3, 400_000), call("B004", 12, 200_000), call("A012", 5, 100_000)] })}\n\n`);
    let n = 12;
    const timer = setInterval(() => response.write(`event: call\ndata: ${JSON.stringify(call(`A${String((n += 1)).padStart(3, "0")}`, 1 + (n % 9)))}\n\n`), 4_000);
    screens.add(response);
    request.on("close", () => { clearInterval(timer); screens.delete(response); });
    return;
  }
  if (/^\/api\/v1\/pairing\/visits\/[^/]+\/sheet\.pdf$/.test(url.pathname)) return response.writeHead(200, { "content-type": "application/pdf" }).end("%PDF-1.4\n%%EOF\n");
  const photo = /^\/api\/v1\/pairing\/visits\/[^/]+\/photos\/(\w+)$/.exec(url.pathname);
  if (photo) return response.writeHead(photos.has(photo[1]) ? 200 : 404, { "content-type": "image/jpeg" }).end(photos.get(photo[1]));
  if (url.pathname.startsWith("/api/v1/pairing/")) {
    if (!session) return refuse(401, "no-session");
    try {
      return send(200, await answer(request, url, body));
    } catch (error) {
      return error instanceof Refusal ? refuse(error.status, error.code, error.params) : refuse(500, "mock", { why: String(error) });
    }
  }
  const file = join(dist, normalize(url.pathname));
  const path = existsSync(file) && statSync(file).isFile() ? file : join(dist, "hall.html");
  response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream", "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'" });
  createReadStream(path).pipe(response);
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
