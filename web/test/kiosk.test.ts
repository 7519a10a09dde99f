import { expect, it } from "vitest";
import { after, REASONS, reason, stays, trouble, type Given } from "../src/kiosk/take";
import zh from "../src/locales/zh-CN";

const given: Given = { case: "c", ticket: "A001", business: "社保", waiting: 2, at: "", printer: "p", printed: true, code: null, why: null };
const printer = (ready: boolean, code: string | null) => ({ printer: "p", ready, code, why: null });

it("one ready printer is enough, else the first one's trouble is said", () => {
  const offer = (...printers: ReturnType<typeof printer>[]) => trouble({ hall: "x", businesses: [], printers });
  expect(offer(printer(false, "paper_out"), printer(true, null))).toBeNull();
  expect(offer(printer(false, "paper_out"), printer(false, "down"))).toBe("paper_out");
  expect(offer()).toBe("no-printer");
});

it("an answer is shown with the reason that a person can do something about", () => {
  expect(after(201, given)).toEqual({ state: "given", given });
  expect(after(409, { code: "printer", params: { code: "cover_open" } })).toEqual({ state: "refused", code: "cover_open" });
  expect(after(429, { code: "too-many", params: { seconds: 2 } })).toEqual({ state: "refused", code: "too-many" });
  expect(after(502, null)).toEqual({ state: "refused", code: "unknown" });
  expect(reason("something new")).toBe("unknown");
  for (const known of REASONS) expect((zh.kiosk.why as Record<string, string>)[known], known).toBeTruthy();
});

it("a number without a slip stays long enough to be written down", () => {
  expect(stays({ state: "given", given })).toBe(8_000);
  expect(stays({ state: "given", given: { ...given, printed: false } })).toBe(60_000);
  expect(stays({ state: "offer", trouble: null })).toBeNull();
});
