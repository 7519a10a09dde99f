import { describe, expect, it } from "vitest";
import type { Area, Camera, Hall } from "../src/api/model";
import { asLayout, clampPage, LAYOUTS, moveFocus, shapeOf, tierOf, tilesOf } from "../src/state/layout";
import { camerasOf, hallsBelow, rollUp } from "../src/state/tree";

const areas: Area[] = [
  { id: "45", parent: null, name: "区", level: "region" },
  { id: "4501", parent: "45", name: "市", level: "city" },
  { id: "450103", parent: "4501", name: "县", level: "county" },
  { id: "4502", parent: "45", name: "市二", level: "city" },
];
const halls: Hall[] = [
  { id: "450103-01", name: "甲", area: "450103", counts: { windows: 2, cameras: 3, cameras_live: 2, alarms: 1 } },
  { id: "4502-01", name: "乙", area: "4502", counts: { windows: 1, cameras: 1, cameras_live: 1, alarms: 0 } },
];
const camera = (id: string, hall: string, window: string | null): Camera => ({ id, hall, window, name: id, kind: window ? "window" : "security", state: "live", why: null });
const cameras = [camera("450103-01-S01", "450103-01", null), camera("450103-01-W02-C1", "450103-01", "450103-01-W02"), camera("450103-01-W01-C1", "450103-01", "450103-01-W01"), camera("4502-01-W01-C1", "4502-01", "4502-01-W01")];
const places = rollUp(areas, halls, cameras);

describe("tree", () => {
  it("orders places with depth", () => expect(places.map((p) => [p.id, p.depth])).toEqual([["45", 0], ["4501", 1], ["450103", 2], ["450103-01", 3], ["4502", 1], ["4502-01", 2]]));
  it("rolls counts and alarms up", () => {
    expect(places[0]!.counts).toEqual({ halls: 2, windows: 3, cameras: 4, cameras_live: 3, alarms: 1 });
    expect(places[4]!.counts.alarms).toBe(0);
  });
  it("survives a circle and a hall with an unseen area", () => {
    const odd = rollUp([{ id: "a", parent: "b", name: "", level: "" }, { id: "b", parent: "a", name: "", level: "" }], [{ id: "h", name: "", area: "z" }], []);
    expect(odd.map((p) => p.id)).toEqual(["h"]);
  });
  it("finds halls and cameras below a place", () => {
    expect([...hallsBelow(places, "4501")]).toEqual(["450103-01"]);
    expect(camerasOf(places, cameras, "45", "window").map((c) => c.id)).toEqual(["450103-01-W01-C1", "450103-01-W02-C1", "4502-01-W01-C1"]);
    expect(camerasOf(places, cameras, "450103-01", "all").map((c) => c.id)).toEqual(["450103-01-W01-C1", "450103-01-W02-C1", "450103-01-S01"]);
    expect(camerasOf(places, cameras, "450103-01-W02", "all").map((c) => c.id)).toEqual(["450103-01-W02-C1"]);
  });
});

describe("layout", () => {
  it("counts tiles and pages", () => {
    expect(tilesOf("1+5")).toBe(6);
    expect(clampPage("9", 2)).toBe(2);
    expect(clampPage("x", 2)).toBe(1);
    expect(asLayout("7")).toBe("16");
  });
  it("uses the whole width of two screens", () => {
    expect(shapeOf("36")).toEqual({ columns: 6, rows: 6 });
    expect(shapeOf("16", 3840 / 1080)).toEqual({ columns: 6, rows: 3 });
    expect(shapeOf("64", 3840 / 1080)).toEqual({ columns: 11, rows: 6 });
    expect(shapeOf("1+5", 3840 / 1080)).toEqual({ columns: 5, rows: 2 });
    for (const layout of LAYOUTS) {
      const { columns, rows } = shapeOf(layout, 3840 / 1000);
      expect(columns * rows, layout).toBeGreaterThanOrEqual(tilesOf(layout) + (layout === "1+5" ? 3 : 0));
    }
    expect(shapeOf("4", Number.NaN)).toEqual({ columns: 2, rows: 2 });
  });
  it("chooses the tier by the number of tiles", () => {
    expect([tierOf("1", 1), tierOf("16", 1), tierOf("25", 1), tierOf("64", 9), tierOf("1+5", 1), tierOf("1+5", 2)]).toEqual(["main", "sub", "key", "key", "main", "sub"]);
  });
  it("moves by arrow keys and stays on the wall", () => {
    expect(moveFocus(0, "ArrowLeft", "16", 4)).toBe(0);
    expect(moveFocus(0, "ArrowDown", "16", 4)).toBe(4);
    expect(moveFocus(0, "ArrowDown", "16", 6)).toBe(6);
    expect(moveFocus(15, "ArrowRight", "16", 4)).toBe(15);
  });
});
