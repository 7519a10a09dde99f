// A step of a visit's log in words. Pure. Fields that are not known here are left to the sheet and the log itself.

import { lately } from "../../state/moments";
import { positionLabel, rangeText, roleName, whereabouts, windowLabel } from "../names";
import type { Connection, HallWindow } from "../model";

type Say = (key: string, params?: Record<string, unknown>) => string;
type Has = (key: string) => boolean;

/** What stands beside the step's name; empty where its name says it all. */
export function stepText(detail: unknown, windows: HallWindow[], t: Say, te: Has): string {
  if (typeof detail !== "object" || detail === null) return "";
  const d = detail as Record<string, unknown>;
  const text = (name: string) => (typeof d[name] === "string" ? (d[name] as string) : null);
  const known = (key: string, value: string) => (te(`${key}.${value}`) ? t(`${key}.${value}`) : value);
  const out: string[] = [];
  const position = text("position");
  if (position) out.push(positionLabel(position, windows, t, te));
  if (Array.isArray(d["positions"])) out.push(d["positions"].map((p) => positionLabel(String(p), windows, t, te)).join("、"));
  const window = text("window");
  if (window) {
    const found = windows.find((w) => w.id === window);
    out.push(found ? windowLabel(found, t) : window);
  }
  if (text("expires_at")) out.push(t("pair.records.until", { time: lately(text("expires_at")) }));
  if (text("approver")) out.push(text("approver")!);
  if (!position && typeof d["connection"] === "object") out.push(whereabouts(d["connection"] as Connection, t));
  if (typeof d["range"] === "object" && d["range"] !== null) out.push(rangeText(d["range"] as Record<string, unknown>, t, te));
  if (typeof d["kind"] === "string" && !position) out.unshift(roleName(d["kind"], t, te));
  if (text("case")) out.push(known("pair.bind", text("case")!));
  if (text("how")) out.push(known("pair.identify", text("how")!));
  if (typeof d["is_it"] === "boolean") out.push(t(d["is_it"] ? "pair.records.is_it" : "pair.records.not_it"));
  if (text("case_id")) out.push(text("case_id")!);
  if (text("raw")) out.push(t("pair.test.raw", { raw: text("raw") }));
  if (typeof d["grade"] === "number") out.push(t(`grade.${d["grade"]}`));
  if (text("point")) out.push(known("pair.accept", text("point")!));
  const judgement = d["judgement"] as { result?: string; note?: string } | undefined;
  if (judgement?.result) out.push(known("pair.accept", judgement.result));
  if (judgement?.note) out.push(judgement.note);
  if (text("state")) out.push(known("pair.find.state", text("state")!));
  if (text("name")) out.push(text("name")!);
  if (text("hall_name")) out.push(text("hall_name")!);
  if (text("why")) out.push(known("pair.visit", `why_${text("why")!}`).replace(/^why_/, ""));
  return out.filter((part) => part !== "").join(" · ");
}
