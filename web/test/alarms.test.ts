import { describe, expect, it } from "vitest";
import { AlarmList, type Alarm } from "../src/wall/alarms";

let n = 0;
const alarm = (kind: string, device: string | null, over = false, grade: number | null = null): Alarm => ({
  n: ++n, kind, at: "2026-11-23T02:00:00.000Z", hall: "450103-01", window: "450103-01-W01", device, case_id: null, grade, why: null, over,
});

describe("the alarms", () => {
  it("stand once for each thing, newest first, with their count", () => {
    const list = new AlarmList();
    list.take([alarm("camera.down", "c1"), alarm("device.down", "d1")], 0);
    const fresh = list.take([alarm("camera.down", "c1")], 10);
    expect(fresh.map((item) => [item.key, item.times])).toEqual([["camera:c1", 2]]);
    expect(list.items.map((item) => item.key)).toEqual(["camera:c1", "device:d1"]);
    list.dismiss("camera:c1");
    expect(list.items.length).toBe(1);
  });
  it("say that a trouble is over, and leave by themselves", () => {
    const list = new AlarmList();
    list.take([alarm("device.silent", "d1"), alarm("camera.down", "c1"), alarm("rating.given", "e1", false, 1)], 0);
    expect(list.take([alarm("device.up", "d1", true), alarm("camera.up", "c9", true)], 1000)).toEqual([]);
    expect(list.items.map((item) => [item.key.split(":")[0], item.alarm.over])).toEqual([["device", true], ["rating", false], ["camera", false]]);
    expect(list.expire(8999)).toBe(false);
    expect(list.expire(9000)).toBe(true);
    expect(list.expire(120_000)).toBe(true);
    expect(list.items.map((item) => item.key)).toEqual(["camera:c1"]);
    expect(list.expire(1e12)).toBe(false);
  });
  it("never grow", () => {
    const list = new AlarmList();
    for (let i = 0; i < 1000; i += 1) list.take([alarm("camera.down", `c${i}`)], i);
    expect(list.items.length).toBe(40);
    expect(list.items[0]!.key).toBe("camera:c999");
  });
});
