// The queue's routes for the mock: a hall that is busy, with a day behind it. Development only.

const figures = (scale, wait) => ({
  arrivals: Math.round(9 * scale), calls: Math.round(8 * scale), recalls: 1, transfers: 0, served: Math.round(8 * scale), no_shows: scale > 1.2 ? 1 : 0, skipped: 0, unserved: 0,
  no_show_rate: 0.03, average_wait_s: wait, p90_wait_s: wait * 1.9, service_level: Math.max(0.3, 1 - wait / 2400), average_reach_s: 38, average_service_s: 540, open_s: 6300, paused_s: 400, busy_s: 4800,
  utilisation: 0.81, ratings: Math.round(6 * scale), rating_defaults: 1, bad_ratings: 0,
});
const thresholds = { waiting_per_window: 10, longest_wait_minutes: 30, forecast_p90_minutes: 30, pause_minutes: 15, device_silent_minutes: 5, call_burst_seconds: 10, service_level_minutes: 20, service_level_percent: 80, windows_planned: null };
let set = { ...thresholds };

/** The answer to a route of the queue, or null. */
export function answerQueue(method, path, query, body, windows) {
  const found = /^\/halls\/([^/]+)\/(queue|queue\/quarters|queue\/thresholds|forecast)$/.exec(path);
  if (!found) return null;
  const [, hall, what] = found;
  const now = Date.now();
  const iso = (ms) => new Date(ms).toISOString();
  if (what === "queue/thresholds") {
    if (method === "PUT") { set = body; return [204, null]; }
    return [200, { thresholds: set, defaults: thresholds, set_by: null, set_at: null, may_change: true }];
  }
  const own = windows.filter((w) => w.hall === hall).map(({ next, ...w }) => (w.state === "paused" ? { ...w, pause_reason: "午餐" } : w));
  if (what === "queue") {
    const open = own.filter((w) => w.state !== "closed").length;
    return [200, {
      hall, at: iso(now), updated_at: iso(now - 4000), connected: true, state: "attention", waiting: 23, longest_wait_s: 2040, average_wait_s: 860,
      businesses: [["不动产登记", 9, 2040, 1300, 1], ["社保医保", 8, 900, 520, 3], ["税务", 6, 640, 300, 2], ["综合业务", 0, null, null, 4]].map(([business, waiting, longest_wait_s, average_wait_s, windows_open]) => ({ business, waiting, longest_wait_s, average_wait_s, windows_open })),
      windows_open: open, windows_paused: 1, windows_total: own.length, windows_due: 9, windows_due_by: "need", windows: own,
      pauses: [{ window: own[5].id, number: 6, name: own[5].name, since: iso(now - 1_100_000), seconds: 1100, reason: "午餐" }],
      devices: { total: 27, well: 26, faults: [{ id: `${own[3].id}-evaluator`, window: own[3].id, role: "evaluator", health: "silent", why: null, since: iso(now - 900_000) }] },
      today: figures(14, 640),
      alarms: [{ kind: "longest_wait", business: "不动产登记", window: null, device: null, value: 34, threshold: 30 }, { kind: "windows_short", business: null, window: null, device: null, value: open - 1, threshold: 9 }, { kind: "long_pause", business: null, window: own[5].id, device: null, value: 18, threshold: 15 }],
      thresholds: set,
    }];
  }
  if (what === "queue/quarters") {
    const shape = (q) => 0.4 + 1.3 * Math.exp(-(((q - 39) / 4) ** 2)) + Math.exp(-(((q - 58) / 4) ** 2));
    const items = Array.from({ length: 32 }, (_, i) => i + 35).map((q) => ({ quarter: q, from: `${String(Math.floor(q / 4)).padStart(2, "0")}:${String((q % 4) * 15).padStart(2, "0")}`, now: q < 61 ? figures(shape(q) * (0.8 + ((q * 7) % 5) / 10), 300 + 700 * shape(q - 1)) : figures(0, 0), before: figures(shape(q), 250 + 600 * shape(q - 1)) }));
    for (const row of items.filter((r) => r.quarter >= 61)) Object.assign(row.now, { average_wait_s: null, p90_wait_s: null, service_level: null, average_service_s: null, average_reach_s: null });
    return [200, { hall, date: query.get("date") ?? "2026-11-27", against: "2026-11-20", zone: "Asia/Shanghai", at: iso(now), service_level_minutes: 20, items, total: { now: figures(22, 640), before: figures(25, 520) }, businesses: [], windows: [], next: null }];
  }
  const hour = (less) => [0, 1, 2, 3, 4].map((n) => ({ at: iso(now + n * 900_000), p50_minutes: (14 + n * 2) * less, p90_minutes: (24 + n * 3.5) * less, arrivals: 9 - n, windows_needed: 9 }));
  const businesses = [{ business: "不动产登记", waiting: 9, p50_minutes: 31, p90_minutes: 44, occupation_minutes: 17.2 }];
  return [200, {
    mae_minutes: 3.4, p90_coverage: 0.886, scored_date: "2026-11-26", scored_tickets: 342, hall, at: iso(now), method: "queue_length", windows_working: 7, windows_needed: 9, next_hour: hour(1), businesses,
    what_if: query.get("extra_windows") ? { extra_windows: 1, next_hour: hour(0.7), businesses } : null, alarms: [],
  }];
}
