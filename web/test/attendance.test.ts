import { expect, it } from "vitest";
import { byUrgency, days, hallClock, hallDate, ORDER, shifted, weekday, type DayRow, type DayState } from "../src/attendance/model";

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
