import { expect, it } from "vitest";
import { byUrgency, days, hallClock, hallDate, ORDER, shifted, weekday, type DayRow, type DayState, showZone, spellAt, type SeatSpell } from "../src/attendance/model";

const row = (state: DayState, employee: string) => ({ state, employee, hall: "450103-01" }) as DayRow;

it("who calls for somebody stands first, then by number", () => {
  const rows = byUrgency([row("normal", "1001"), row("late", "1003"), row("absent", "1004"), row("late", "1002"), row("not_in", "1005")]);
  expect(rows.map((r) => r.employee)).toEqual(["1004", "1005", "1002", "1003", "1001"]);
  expect(new Set(ORDER).size).toBe(15);
});

it("times are the halls', wherever the browser is", () => {
  expect(hallClock("2026-11-24T01:05:07.000Z")).toBe("09:05");
  expect(hallClock("2026-11-24T01:05:07.000Z", true)).toBe("09:05:07");
  expect(hallClock("2026-11-24T22:03:00.000Z", false, "2026-11-24")).toBe("25 06:03");
  expect(hallDate("2026-11-23T16:00:00.000Z")).toBe("2026-11-24");
  expect(hallClock(null)).toBe("—");
});

it("dates go over months and weeks begin on Monday", () => {
  expect(shifted("2026-03-01", -1)).toBe("2026-02-28");
  expect(shifted("2026-12-31", 1)).toBe("2027-01-01");
  expect([weekday("2026-11-23"), weekday("2026-11-29")]).toEqual([0, 6]);
  expect([days(3), days(0), days(undefined)]).toEqual(["1.5", "—", "—"]);
});

it("a hall's times are those of its own clocks", () => {
  expect(hallClock("2026-11-24T03:00:00.000Z", false, "2026-11-24", "Asia/Urumqi")).toBe("09:00");
  expect(hallDate("2026-11-24T17:30:00.000Z", "Asia/Urumqi")).toBe("2026-11-24");
  expect(hallClock("2026-03-30T07:00:00.000Z", false, undefined, "Europe/Berlin")).toBe("09:00");
  showZone("Asia/Urumqi");
  expect(hallClock("2026-11-24T03:00:00.000Z")).toBe("09:00");
  showZone(undefined);
  expect(hallClock("2026-11-24T03:00:00.000Z")).toBe("09:00");
  showZone("Asia/Shanghai");
});

it("finds what was seen of a seat when a punch was due, and takes nothing for empty that was not seen", () => {
  const spell = (from: string, until: string, seat: SeatSpell["seat"]): SeatSpell => ({ window: "w", seat, why: null, from: `2026-11-24T${from}:00Z`, until: `2026-11-24T${until}:00Z` });
  const spells = [spell("01:00", "04:00", "occupied"), spell("04:00", "09:00", "empty")];
  expect(spellAt(spells, "2026-11-24T04:00:00Z")?.seat).toBe("empty");
  expect(spellAt(spells, "2026-11-24T03:59:59Z")?.seat).toBe("occupied");
  expect(spellAt(spells, "2026-11-24T09:00:00Z")).toBeNull();
  expect(spellAt(spells, null)).toBeNull();
});
