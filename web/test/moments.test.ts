import { expect, it } from "vitest";
import { lately, span } from "../src/state/moments";

it("a time of another day carries its date", () => {
  const noon = new Date(2026, 10, 22, 12, 0, 0).getTime();
  expect(lately(new Date(2026, 10, 22, 9, 2, 3).getTime(), true, noon)).toBe("09:02:03");
  expect(lately(new Date(2026, 10, 22, 9, 2, 3).getTime(), false, noon)).toBe("09:02");
  expect(lately(new Date(2026, 10, 21, 15, 19, 48).getTime(), true, noon)).toBe("11-21 15:19");
  expect(lately(null)).toBe("—");
  expect(span(187_000)).toBe("3:07");
});
