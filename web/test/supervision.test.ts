import { describe, expect, it } from "vitest";
import { understood } from "../src/supervision/casesearch";
import { change, figureOf, written } from "../src/supervision/figures";
import { named, stepped } from "../src/supervision/period";
import { severity } from "../src/supervision/severity";

describe("what is typed to find a case", () => {
  it.each([
    ["", {}],
    [" 450103-01-20261122-00042-c ", { case_id: "450103-01-20261122-00042-C" }],
    ["a012", { ticket: "A012" }],
    ["0012", { ticket: "0012" }],
    ["4501032026112200042", { official_no: "4501032026112200042" }],
    ["Jn_Sp0001", { official_no: "Jn_Sp0001" }],
  ])("%s", (typed, asked) => expect(understood(typed)).toEqual(asked));
});

describe("figures", () => {
  it("are written as people read them", () => {
    expect(written("share", 0.99437)).toBe("99.44%");
    expect(written("seconds", 725.4)).toBe("12:05");
    expect(written("seconds", 3725)).toBe("1:02:05");
    expect(written("count", 12040)).toBe("12,040");
    expect(written("score", null)).toBe("—");
  });

  it("change for the better or the worse", () => {
    const wait = figureOf("average_wait_s");
    expect(change(wait, 300, 400)).toEqual({ text: "−25.00%", tone: "good" });
    expect(change(wait, 500, 400)).toEqual({ text: "+25.00%", tone: "bad" });
    expect(change(figureOf("satisfied"), 0.99, 0.98)).toEqual({ text: "+1.00 pp", tone: "good" });
    expect(change(figureOf("arrivals"), 11, 10)).toEqual({ text: "+10.00%", tone: "same" });
    expect(change(wait, 300, null)).toBeNull();
    expect(change(figureOf("arrivals"), 5, 0), "nothing is no ground to compare with").toBeNull();
  });
});

describe("periods", () => {
  it("step over months and years of any length", () => {
    expect(stepped("day", "2026-12-31", 1)).toBe("2027-01-01");
    expect(stepped("week", "2026-11-26", -1)).toBe("2026-11-19");
    expect(stepped("month", "2026-01-31", 1)).toBe("2026-02-01");
    expect(stepped("quarter", "2026-02-15", -1)).toBe("2025-11-01");
    expect(stepped("year", "2028-02-29", -1)).toBe("2027-02-01");
  });

  it("have names", () => {
    expect(named("quarter", "2026-10-01", "2026-12-31")).toBe("2026 Q4");
    expect(named("week", "2026-11-23", "2026-11-29")).toBe("2026-11-23 – 11-29");
    expect(named("month", "2026-11-01", "2026-11-30")).toBe("2026-11");
  });
});

it("a risk has one of three words", () => {
  expect([30_000, 9000, 2500, 1200, 527].map((risk) => severity({ risk }))).toEqual(["severe", "severe", "serious", "serious", "mild"]);
});
