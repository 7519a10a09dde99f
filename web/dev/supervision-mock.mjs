// What the supervisor's routes answer in the stand-in. Development only; everything in it is invented.

const iso = (ms) => new Date(ms).toISOString();

/** The overview of `id` out of the stand-in's places. */
export function overviewOf(id, { areas, halls, cameras, windows, offline }) {
  const parentOf = (place) => halls.find((h) => h.id === place)?.area ?? areas.find((a) => a.id === place)?.parent ?? null;
  const inside = (hall, place) => {
    for (let at = hall; at !== null; at = parentOf(at)) if (at === place) return true;
    return false;
  };
  const now = Date.now();
  const wrong = [];
  for (const hall of halls.filter((h) => offline.includes(h.id))) wrong.push({ kind: "node.offline", risk: 30_000, since: iso(now - 5_400_000), hall: hall.id, why: null });
  for (const c of cameras.filter((c) => c.state !== "live" && !offline.includes(c.hall))) wrong.push({ kind: "camera.down", risk: 10_000, since: iso(now - 1_260_000), hall: c.hall, window: c.window, device: c.id, why: c.why });
  wrong.push({ kind: "picture.fault", risk: 9000, since: iso(now - 340_000), hall: halls[2].id, window: `${halls[2].id}-W03`, device: `${halls[2].id}-W03-C1`, why: "blocked" });
  wrong.push({ kind: "rating.bad", risk: 2500, since: iso(now - 500_000), hall: halls[0].id, window: `${halls[0].id}-W02`, case_id: `${halls[0].id}-20261122-00031-K`, grade: 1, why: null });
  wrong.push({ kind: "device.silent", risk: 1200, since: iso(now - 240_000), hall: halls[1].id, window: `${halls[1].id}-W05`, device: `${halls[1].id}-W05-evaluator`, why: "evaluator" });
  wrong.push({ kind: "wait.long", risk: 527, since: iso(now - 1_640_000), hall: halls[1].id, why: null });
  const rows = wrong.filter((w) => inside(w.hall, id)).map((w) => ({ window: null, device: null, case_id: null, grade: null, ...w }));
  const figuresOf = (some) => {
    const own = windows.filter((w) => some.some((h) => h.id === w.hall));
    const seen = cameras.filter((c) => some.some((h) => h.id === c.hall));
    return {
      halls: some.length, halls_online: some.filter((h) => !offline.includes(h.id)).length, windows: own.length, windows_open: own.filter((w) => w.state !== "closed").length,
      windows_paused: own.filter((w) => w.state === "paused").length, waiting: own.reduce((n, w) => n + w.waiting, 0), waiting_since: own.map((w) => w.waiting_since).sort()[0] ?? null,
      cameras: seen.length, cameras_live: seen.filter((c) => c.state === "live").length, window_events: 4210 * some.length, tagged: 4187 * some.length, wrong: wrong.filter((w) => some.some((h) => h.id === w.hall)).length,
    };
  };
  const rank = ["absent", "closed", "good", "attention", "bad", "offline"];
  const stateOf = (hall) => {
    const of = wrong.filter((w) => w.hall === hall).map((w) => (w.kind === "node.offline" ? "offline" : w.risk > 2000 ? "bad" : "attention"));
    return of.sort((a, b) => rank.indexOf(b) - rank.indexOf(a))[0] ?? "good";
  };
  const cell = (h) => ({ id: h.id, name: h.name, state: stateOf(h.id), updated_at: iso(now - 4000), figures: figuresOf([h]) });
  const worst = (cells) => cells.map((c) => c.state).sort((a, b) => rank.indexOf(b) - rank.indexOf(a))[0] ?? "absent";
  const below = halls.filter((h) => inside(h.id, id));
  const children = [
    ...areas.filter((a) => a.parent === id).map((a) => {
      const some = halls.filter((h) => inside(h.id, a.id));
      const cells = some.map(cell);
      return { id: a.id, name: a.name, kind: "area", state: worst(cells), figures: figuresOf(some), halls: cells };
    }),
    ...halls.filter((h) => h.area === id).map((h) => ({ id: h.id, name: h.name, kind: "hall", state: stateOf(h.id), figures: figuresOf([h]), halls: [cell(h)] })),
  ];
  const way = [];
  for (let at = id; at !== null; at = parentOf(at)) way.unshift({ id: at, name: [...areas, ...halls].find((p) => p.id === at)?.name ?? at });
  return { ...way.at(-1), kind: halls.some((h) => h.id === id) ? "hall" : "area", way, updated_at: iso(now), figures: figuresOf(below), day: day(22), today: sumOf(1200, 2), children, wrong: rows, wrong_total: rows.length };
}

const grades = (given, bad) => [bad, bad * 2, Math.round(given * 0.02), Math.round(given * 0.1), given - bad * 3 - Math.round(given * 0.02) - Math.round(given * 0.1)];
function sumOf(size, seed) {
  const served = Math.round(size * (0.9 + 0.1 * Math.sin(seed)));
  const given = Math.round(served * (0.68 + 0.1 * Math.cos(seed)));
  const by = grades(given, Math.max(0, Math.round(given * 0.004)));
  return {
    service: { arrivals: size, calls: served, recalls: 40, transfers: 5, served, no_shows: size - served, skipped: 3, unserved: 2, no_show_rate: (size - served) / size, average_wait_s: 400 + 200 * Math.sin(seed), p90_wait_s: 1100 + 300 * Math.sin(seed), service_level: 0.82 + 0.1 * Math.cos(seed), average_reach_s: 32, average_service_s: 560 + 80 * Math.cos(seed * 2), open_s: 1, paused_s: 1, busy_s: 1, utilisation: 0.63, ratings: given, rating_defaults: served - given, bad_ratings: by[0] + by[1] },
    ratings: { grades: by, given, defaults: served - given, unsolicited: 17, served, active_rate: given / served, satisfied: 1 - (by[0] + by[1]) / given, satisfied_with_defaults: 1 - (by[0] + by[1]) / served, bad_rate: (by[0] + by[1]) / given, score: 9.6 },
  };
}
const day = (n) => `2026-11-${String(n).padStart(2, "0")}`;

/** A report of `id` over November. */
export function reportOf(id, period, byHall, { areas, halls }) {
  const name = [...areas, ...halls].find((p) => p.id === id)?.name ?? id;
  const places = byHall ? halls.map((h) => ({ ...h, kind: "hall" })) : areas.filter((a) => a.parent === id).map((a) => ({ ...a, kind: "area" }));
  const row = (p, i) => ({ id: p.id, name: p.name, kind: p.kind, now: sumOf(4000 + i * 900, i), before: sumOf(3800 + i * 700, i + 1), year_ago: i === 1 ? null : sumOf(3000, i + 2) });
  return {
    id, name, period, days: { from: day(1), to: day(30) }, running: true, before: { from: "2026-10-01", to: "2026-10-27" }, year_ago: { from: "2025-11-01", to: "2025-11-27" }, updated_at: iso(Date.now()),
    total: row({ id, name, kind: "area" }, 4), rows: places.map(row), parts: Array.from({ length: 27 }, (_, i) => ({ from: day(i + 1), sum: sumOf(300 + 90 * Math.sin(i), i) })).filter((_, i) => i % 7 < 5),
  };
}

/** Halls beside each other over November. */
export function comparisonOf(id, figure, { areas, halls }) {
  const parts = Array.from({ length: 20 }, (_, i) => day(i + 1));
  const course = (p, k) => ({ id: p.id, name: p.name, total: 420 + k * 40, values: parts.map((_, i) => (i % 9 === 7 ? null : 300 + 200 * Math.abs(Math.sin(i + k)))) });
  return { figure, days: { from: day(1), to: day(30) }, updated_at: iso(Date.now()), parts, halls: halls.map(course), all: course([...areas, ...halls].find((p) => p.id === id) ?? areas[0], 2) };
}

/** Bad ratings, newest first. */
export const ratingsOf = (halls) => Array.from({ length: 9 }, (_, i) => ({ at: iso(Date.now() - i * 5_400_000), hall: halls[i % halls.length].id, window: `${halls[i % halls.length].id}-W0${(i % 8) + 1}`, device: null, case_id: `${halls[i % halls.length].id}-20261122-000${10 + i}-K`, ticket: `A0${10 + i}`, outcome: "given", grade: i % 3 === 0 ? 1 : 2, raw: 3, why: null }));
