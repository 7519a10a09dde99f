import { describe, expect, it } from "vitest";
import { asked, confirmable, missing, pressed, unknownKeys, type GradeMap } from "../src/pairing/grades";
import { findingText, isStream, measured, rtspBase, streamsOf, streamText } from "../src/pairing/camera";
import type { StreamAudit } from "../src/pairing/model";
import { addressRange, atWindow, cameraNames, freeName, positionId, positionLabel, rangeText, roleAt, roleOf, whereabouts } from "../src/pairing/names";
import { fit } from "../src/pairing/parts/photo";
import { liveText } from "../src/pairing/parts/livetext";
import { stepText } from "../src/pairing/parts/steptext";
import { passOf, windowOf } from "../src/pairing/parts/scan";

const t = (key: string, params: Record<string, unknown> = {}) => `${key}${Object.values(params).map((v) => `/${v}`).join("")}`;
const te = (key: string) => ["pair.role.evaluator", "pair.role.ticket", "pair.range.addresses", "pair.live.keys.call", "pair.state.down"].includes(key);

describe("learning an evaluator's keys", () => {
  const press = (keys: string[], from: GradeMap = {}) => keys.reduce((map, raw) => pressed(map, raw, null), from);

  it("takes keys in the order in which they are asked for, each once", () => {
    expect(asked({}, null)).toBe(5);
    const map = press(["04", "04", "03", "02", "01", "00"]);
    expect(map).toEqual({ "04": 5, "03": 4, "02": 3, "01": 2, "00": 1 });
    expect(asked(map, null)).toBeNull();
    expect(missing(map)).toEqual([]);
  });
  it("keeps the maker's map and asks only for what it lacks", () => {
    expect(press(["00", "04"], { "04": 5, "00": 1 })).toEqual({ "04": 5, "00": 1 });
    expect(press(["07"], { "04": 5 })).toEqual({ "04": 5, "07": 4 });
  });
  it("a sixth key means nothing until a person says so", () => {
    const map = press(["04", "03", "02", "01", "00", "0A"]);
    expect(unknownKeys(map, ["04", "0A"])).toEqual(["0A"]);
  });
  it("a tile learnt anew loses its former key, and the key its former tile", () => {
    const map = press(["00", "01"]);
    const again = pressed(map, "01", 5);
    expect(again).toEqual({ "01": 5 });
    expect(missing(again)).toEqual([4, 3, 2, 1]);
  });
  it("confirms only what was heard", () => {
    expect(confirmable({ "04": 5, "03": 4 }, ["04"])).toEqual({ "04": 5 });
  });
});

describe("names", () => {
  const windows = [{ id: "450103-01-W07", number: 7, name: "7号窗口" }, { id: "450103-01-W08", number: 8, name: "综合窗口" }];

  it("of positions", () => {
    expect(positionLabel("450103-01-W07-evaluator", windows, t, te)).toBe("7号窗口 · pair.role.evaluator");
    expect(positionLabel("450103-01-W08-evaluator", windows, t, te)).toBe("pair.window.numbered/8/综合窗口 · pair.role.evaluator");
    expect(positionLabel("450103-01-T01-ticket", windows, t, te)).toBe("T01 · pair.role.ticket");
  });
  it("ids come from the window, or from a name of the right form", () => {
    expect(positionId("450103-01", "450103-01-W07", "", "evaluator")).toBe("450103-01-W07-evaluator");
    expect(positionId("450103-01", null, "", "evaluator")).toBeNull();
    expect(positionId("450103-01", "450103-01-W07", "T01", "ticket")).toBe("450103-01-T01-ticket");
    for (const bad of ["t01", "T1", "T001", "", "../"]) expect(positionId("450103-01", null, bad, "ticket")).toBeNull();
    expect(atWindow("attendance")).toBe(false);
    expect(freeName("ticket", ["450103-01-T01-ticket", "450103-01-A01-attendance"])).toBe("T02");
  });
  it("a camera's place is its number at a window, or in the hall at large", () => {
    expect(roleAt("450103-01-W07-C1")).toBe("camera");
    expect(roleAt("450103-01-S01")).toBe("camera");
    expect(roleAt("450103-01-W07-evaluator")).toBe("evaluator");
    expect(positionLabel("450103-01-W07-C2", windows, t, te)).toBe("7号窗口 · camera C2");
    expect(positionLabel("450103-01-S01", windows, t, te)).toBe("pair.window.hall · camera S01");
    expect(positionId("450103-01", "450103-01-W07", "C1", "camera")).toBe("450103-01-W07-C1");
    expect(positionId("450103-01", null, "S01", "camera")).toBe("450103-01-S01");
    for (const [window, bad] of [[null, "C1"], ["450103-01-W07", "S01"], ["450103-01-W07", "C0"], [null, "S00"]] as const) expect(positionId("450103-01", window, bad, "camera")).toBeNull();
    const taken = ["450103-01-W07-C1", "450103-01-W07-evaluator", "450103-01-W08-C1", "450103-01-S01"];
    expect(cameraNames("450103-01", "450103-01-W07", taken)).toEqual({ used: ["C1"], free: "C2" });
    expect(cameraNames("450103-01", null, taken)).toEqual({ used: ["S01"], free: "S02" });
  });
  it("of what was found and where was searched; the unknown is shown as it is", () => {
    expect(roleOf({ kind: "bus_evaluator" })).toBe("evaluator");
    expect(whereabouts({ kind: "bus_evaluator", port: "/dev/serial/by-id/usb-x", baud: 9600, address: 7 }, t)).toBe("usb-x · 9600 · pair.address_n/7");
    expect(rangeText({ port: "/dev/ttyUSB0", addresses: "0-255", odd: 3, none: null }, t, te)).toBe("port ttyUSB0 · pair.range.addresses/0-255 · odd 3");
  });
  it("address ranges are counted, others refused", () => {
    expect(addressRange("192.168.1.0/24")).toEqual({ text: "192.168.1.0/24", count: 256 });
    expect(addressRange("192.168.1.10-60")).toEqual({ text: "192.168.1.10-192.168.1.60", count: 51 });
    expect(addressRange("10.0.0.250-10.0.1.4:4371")).toEqual({ text: "10.0.0.250-10.0.1.4:4371", count: 11 });
    expect(addressRange(" 192.168.1.9:4370 ")).toEqual({ text: "192.168.1.9:4370", count: 1 });
    for (const bad of ["", "192.168.1", "192.168.1.300", "192.168.1.9-3", "10.0.0.0/33", "host", "10.0.0.1:99999"]) expect(addressRange(bad), bad).toBeNull();
  });
});

it("codes and passes are told from anything else", () => {
  expect(windowOf("https://10.0.0.5:8444/#/w/450103-01-W07")).toBe("450103-01-W07");
  expect(windowOf("https://10.0.0.5:8444/#/x/450103-01-W07")).toBeNull();
  expect(passOf("hwp1.eyJh-_.c2ln")).toBe("hwp1.eyJh-_.c2ln");
  expect(passOf(" hwp1.eyJh\n.c2ln ")).toBe("hwp1.eyJh.c2ln");
  expect(passOf("https://hall:8444/#pass=hwp1.a.b")).toBe("hwp1.a.b");
  expect(passOf("#/w/450103-01-W07")).toBeNull();
});

it("a photo is made smaller, never larger", () => {
  expect(fit(4000, 3000)).toEqual({ width: 1600, height: 1200 });
  expect(fit(640, 480)).toEqual({ width: 640, height: 480 });
  expect(fit(1, 100_000)).toEqual({ width: 1, height: 1600 });
});

it("live readings are said in words, the unknown as it is", () => {
  const live = (more: object) => ({ n: 1, at: "", position: "p", candidate: null, kind: "", ...more });
  expect(liveText(live({ kind: "grade", raw: "04", grade: 5 }), t, te)).toBe("grade.5 · pair.live.raw/04");
  expect(liveText(live({ kind: "key", key: "call", digits: 12 }), t, te)).toBe("pair.live.key/pair.live.keys.call · pair.live.digits/12");
  expect(liveText(live({ kind: "health", state: "down", why: "unplugged" }), t, te)).toBe("pair.live.health/pair.state.down · unplugged");
  expect(liveText(live({ kind: "sms" }), t, te)).toBe("sms");
});

it("steps of a record are said in words", () => {
  const windows = [{ id: "450103-01-W07", number: 7, name: "7号窗口" }];
  const say = (detail: unknown) => stepText(detail, windows, t, te);
  expect(say({ position: "450103-01-W07-evaluator", raw: "04", grade: 5 })).toBe("7号窗口 · pair.role.evaluator · pair.test.raw/04 · grade.5");
  expect(say({ window: "450103-01-W07" })).toBe("7号窗口");
  expect(say({ candidate: "c1", is_it: true })).toBe("pair.records.is_it");
  expect(say({ point: "place", judgement: { result: "pass", note: "牢固", photo: null } })).toBe("place · pass · 牢固");
  expect(say({ why: "left" })).toBe("left");
  expect(say(null)).toBe("");
});

describe("a camera", () => {
  it("its streams are those with an address, in words", () => {
    const streams = streamsOf({ streams: [{ name: "main", uri: "rtsp://10.0.0.2/main", codec: "h264", width: 1920, height: 1080, fps: 25, kbps: 2048 }, { name: "snap", uri: null }] });
    expect(streams.map((s) => s.name)).toEqual(["main"]);
    expect(streamText(streams[0]!, t)).toBe("1920×1080 · H.264 · pair.camera.fps/25 · 2048 kbit/s");
    expect(streamsOf({})).toEqual([]);
  });
  it("an address holds no user, and a base is made of what was found", () => {
    expect(isStream("rtsp://10.0.0.2:554/Streaming/Channels/101")).toBe(true);
    for (const bad of ["", "http://10.0.0.2/", "rtsp://", "rtsp://u:p@10.0.0.2/x", "rtsp://10.0.0.2/a b"]) expect(isStream(bad), bad).toBe(false);
    expect(rtspBase({ rtsp: "10.0.0.2:8554", address: "10.0.0.2" })).toBe("rtsp://10.0.0.2:8554");
    expect(rtspBase({ address: "10.0.0.2" })).toBe("rtsp://10.0.0.2:554");
  });
  it("an audit is told with its figures; a finding that is not known by its own name", () => {
    const report = { verdict: "usable", findings: [], measured: { codec: "h265", profile: "Main", width: 640, height: 360, told_fps: 25, fps: 12.34, kbps: 511.6, gop: { longest_s: 2 }, clock_offset_s: -3.21, seconds: 10 } } as const;
    const rows = measured({ role: "sub", report: { ...report, findings: [] }, failed: null } as StreamAudit, t);
    expect(rows[0]![1]).toBe("H.265 Main");
    expect(rows.map(([, value]) => value)).toContain("pair.camera.fps/12.3pair.audit.told/25");
    expect(rows.map(([, value]) => value)).toContain("pair.audit.offset/-3.2");
    const known = (key: string) => key === "pair.audit.what.gop_long" || key === "pair.audit.change.key_frame_interval";
    expect(findingText({ severity: "warning", code: "gop_long", seconds: 4, change: { setting: "key_frame_interval", frames: 50 } }, (k) => k, known)).toEqual({ what: "pair.audit.what.gop_long", change: "pair.audit.change.key_frame_interval" });
    expect(findingText({ severity: "notice", code: "new_one", change: null }, t, known)).toEqual({ what: "new_one", change: "" });
  });
});
