// A live reading in words. Pure. What is not known here is shown by its own name, never hidden.

import { reason } from "../../state/reasons";
import type { Live } from "../model";

type Say = (key: string, params?: Record<string, unknown>) => string;
type Has = (key: string) => boolean;

export function liveText(live: Live, t: Say, te: Has): string {
  const more: string[] = [];
  const said = (why: string) => (te(reason(why)) ? t(reason(why)) : why);
  const raw = typeof live.raw === "string" ? t("pair.live.raw", { raw: live.raw }) : null;
  switch (live.kind) {
    case "grade":
      if (raw) more.push(raw);
      return [live.grade ? t(`grade.${live.grade}`) : t("pair.live.pressed"), ...more].join(" · ");
    case "key": {
      const key = String(live["key"] ?? "");
      const digits = live["digits"];
      if (digits !== null && digits !== undefined && digits !== "") more.push(t("pair.live.digits", { digits: String(digits) }));
      const name = `pair.live.keys.${key}`;
      return [t("pair.live.key", { key: te(name) ? t(name) : key }), ...more].join(" · ");
    }
    case "ticket": {
      const waiting = live["waiting"];
      if (typeof waiting === "number") more.push(t("pair.live.waiting", { n: waiting }));
      return [t("pair.live.ticket", { number: String(live["number"] ?? ""), business: String(live["business"] ?? "") }), ...more].join(" · ");
    }
    case "punch": return t("pair.live.punch");
    case "health": {
      const state = `pair.state.${String(live["state"])}`;
      return [t("pair.live.health", { state: te(state) ? t(state) : String(live["state"]) }), ...(live["why"] ? [said(String(live["why"]))] : [])].join(" · ");
    }
    default: return [live.kind, ...(raw ? [raw] : [])].join(" · ");
  }
}
