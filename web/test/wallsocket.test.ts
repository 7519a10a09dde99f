import { beforeEach, describe, expect, it } from "vitest";
import { WallSocket } from "../src/video/wallsocket";

class FakeSocket {
  binaryType = "";
  readyState = 0;
  sent: string[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  send(text: string) {
    this.sent.push(text);
  }
  close() {
    this.readyState = 3;
    this.onclose?.();
  }
  opens() {
    this.readyState = 1;
    this.onopen?.();
  }
}

let sockets: FakeSocket[];
let timers: { ms: number; act: () => void; off: boolean }[];
let said: unknown[];
let socket: WallSocket<{ window: string }>;

beforeEach(() => {
  sockets = [];
  timers = [];
  said = [];
  const note = (name: string) => (...args: unknown[]) => void said.push([name, ...args]);
  socket = new WallSocket(
    { link: note("link"), streams: note("streams"), missed: note("missed"), windows: note("windows"), alarms: note("alarms"), problem: note("problem"), frame: note("frame") },
    {
      open: () => {
        const s = new FakeSocket();
        sockets.push(s);
        return s as unknown as WebSocket;
      },
      after: (ms, act) => {
        const timer = { ms, act, off: false };
        timers.push(timer);
        return () => void (timer.off = true);
      },
    },
  );
  socket.start();
});
const due = () => timers.filter((t) => !t.off);

describe("wall socket", () => {
  it("sends the whole set on opening and at each change", () => {
    socket.watch([{ tile: 1, camera: "a", tier: "key" }]);
    expect(sockets[0]!.sent).toEqual([]);
    sockets[0]!.opens();
    expect(JSON.parse(sockets[0]!.sent[0]!)).toEqual({ watch: [{ tile: 1, camera: "a", tier: "key" }], states: true, alarms: true });
    socket.watch([]);
    expect(JSON.parse(sockets[0]!.sent[1]!)).toEqual({ watch: [], states: true, alarms: true });
  });
  it("dials again with waits from 0.5 to 5 s, and from 0.5 s after it was open", () => {
    const waits: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      sockets.at(-1)!.close();
      const timer = due()[0]!;
      waits.push(timer.ms);
      timer.off = true;
      timer.act();
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 5000, 5000]);
    sockets.at(-1)!.opens();
    sockets.at(-1)!.close();
    expect(due()[0]!.ms).toBe(500);
  });
  it("closes a socket that never opens, and dials again", () => {
    due()[0]!.act();
    expect(sockets[0]!.readyState).toBe(3);
    expect(said.at(-1)).toEqual(["link", false, 500]);
  });
  it("sends the present set again after a reconnect", () => {
    sockets[0]!.opens();
    socket.watch([{ tile: 4, camera: "b", tier: "sub" }]);
    sockets[0]!.close();
    due()[0]!.act();
    sockets[1]!.opens();
    expect(JSON.parse(sockets[1]!.sent[0]!).watch).toEqual([{ tile: 4, camera: "b", tier: "sub" }]);
  });
  it("hands out each kind of message and survives nonsense", () => {
    const s = sockets[0]!;
    s.opens();
    for (const data of ['{"streams":[{"tile":1}]}', '{"missed":[{"stream":7,"frames":12}]}', '{"windows":[{"window":"w"}]}', '{"alarms":[{"n":1}]}', '{"error":{"title":"t"}}', "{", new ArrayBuffer(3)]) s.onmessage!({ data });
    expect(said.slice(1).map((row) => (row as unknown[])[0])).toEqual(["streams", "missed", "windows", "alarms", "problem"]);
  });
  it("stays closed once stopped", () => {
    sockets[0]!.opens();
    socket.stop();
    expect(due()).toEqual([]);
    expect(sockets.length).toBe(1);
  });
});
