// A risk as one of three words. The bounds stand between the classes that the centre numbers
// (control-center/src/supervision/wrong.rs).

import type { Wrong } from "./model";

export function severity(wrong: Pick<Wrong, "risk">): "severe" | "serious" | "mild" {
  if (wrong.risk >= 9000) return "severe";
  return wrong.risk >= 1000 ? "serious" : "mild";
}
