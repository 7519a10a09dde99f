// The mock's footage of the past: one clip for every camera, out of the given clips, with ranges, gaps and a timeline.
// Development only.

import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { clips, kept } from "./footage.mjs";

const iso = (ms) => new Date(ms).toISOString();

function film() {
  mkdirSync(kept, { recursive: true });
  const file = join(kept, "replay.mp4");
  if (!existsSync(file)) {
    execFileSync("ffmpeg", ["-v", "error", "-y", "-stream_loop", "-1", "-i", join(clips, "window-a-sub.mp4"), "-t", "600", "-an", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-movflags", "frag_keyframe+empty_moov+default_base_moof", file]);
  }
  return file;
}

function recorded(from, to) {
  const hole = [from + (to - from) * 0.6, from + (to - from) * 0.68];
  return { source: "hall", as_of: iso(Date.now()), runs: [{ from: iso(from), to: iso(hole[0]) }, { from: iso(hole[1]), to: iso(to) }], gaps: [{ from: iso(hole[0]), to: iso(hole[1]), code: "camera_lost", why: "the camera cannot be reached" }] };
}

/** A case's timeline; of a hall that is offline what the centre was told. */
export function timelineOf(file, cameras, offline) {
  const at = (e) => Date.parse(e.at);
  const seen = file.events.filter((e) => e.window);
  const from = Math.min(...seen.map(at)) - 30_000;
  const to = (file.closed_at ? Date.parse(file.closed_at) : Date.now()) + 30_000;
  const away = offline.includes(file.hall);
  const events = file.events.map((e) => ({ ...e, of_case: true, offsets: {} }));
  events.push({ at: iso(from + 9000), kind: "camera.down", of_case: false, window: file.window, device: `${file.window}-C1`, body: { why: "the camera cannot be reached" }, clock: "synchronised", offsets: {} });
  events.sort((a, b) => at(a) - at(b));
  const { events: _, ...row } = file;
  const shown = away ? file.events.filter((e) => ["ticket.called", "service.started", "rating.given"].includes(e.kind)) : [];
  const stills = shown.map((e, n) => ({ id: `s${n}`, camera: cameras[0]?.id, at: e.at, shows: e.kind, state: "kept", why: null, taken_at: e.at, url: `/api/v1/cases/${file.case_id}/stills/s${n}` }));
  return {
    case: row, from: iso(Math.min(...events.map(at))), to: iso(to), clock: "synchronised", events, stills,
    hall: { online: !away, last_heard: iso(Date.now() - (away ? 3 * 3_600_000 : 0)) },
    cameras: cameras.map((c) => ({
      camera: c.id, name: c.name, window: file.window, from: iso(from), to: iso(to), clip_url: `/api/v1/cameras/${c.id}/clip.mp4?from=${iso(from)}&to=${iso(to)}`,
      clip: away ? null : { from: iso(from), to: iso(to) }, why: away ? "the hall's edge agent is not connected" : null, ...recorded(from, to), ...(away ? { source: "centre", as_of: iso(Date.now() - 600_000) } : {}),
      clip_source: away ? null : "hall", kept: away ? null : { camera: c.id, state: "kept", why: null, asked_by: "county", asked_at: iso(to), kept_at: iso(to), from: iso(from), to: iso(to), bytes: 9_000_000 },
      absent: away ? [{ from: iso(from), to: iso(to), why: "in_hall" }] : [],
    })),
  };
}

/** Answers what is asked of recordings; whether it was asked that. `offline`: the halls that are not connected. */
export function answerReplay(request, response, url, offline) {
  if (/^\/api\/v1\/cases\/[^/]+\/stills\/\w+$/.test(url.pathname)) {
    const file = join(kept, "still.jpg");
    if (!existsSync(file)) execFileSync("ffmpeg", ["-v", "error", "-y", "-ss", "20", "-i", film(), "-frames:v", "1", file]);
    response.writeHead(200, { "content-type": "image/jpeg" });
    createReadStream(file).pipe(response);
    return true;
  }
  const found = /^\/api\/v1\/cameras\/([^/]+)\/(clip\.mp4|recordings)$/.exec(url.pathname);
  if (!found) return false;
  const from = Date.parse(url.searchParams.get("from"));
  const to = Date.parse(url.searchParams.get("to"));
  const camera = decodeURIComponent(found[1]);
  if (offline.some((hall) => camera.startsWith(hall))) {
    response.writeHead(503, { "content-type": "application/problem+json" });
    response.end(JSON.stringify({ type: "about:blank", title: "Service Unavailable", status: 503, detail: "the hall's edge agent is not connected: what it recorded is there when it is back" }));
  } else if (found[2] === "recordings") {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(recorded(from, to)));
  } else {
    const file = film();
    const size = statSync(file).size;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const start = range ? Number(range[1]) : 0;
    const end = range && range[2] !== "" ? Math.min(size - 1, Number(range[2])) : size - 1;
    response.writeHead(range ? 206 : 200, { "content-type": "video/mp4", "accept-ranges": "bytes", "content-length": end - start + 1, "x-clip-from": iso(from), ...(range ? { "content-range": `bytes ${start}-${end}/${size}` } : {}) });
    createReadStream(file, { start, end }).pipe(response);
  }
  return true;
}
