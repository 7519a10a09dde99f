// What a wall costs the computer that shows it: real Chromium, one page, so many tiles for so many minutes. Prints; judges
// nothing. Started by `scripts/bench wall`; needs the release build and the site.
//   --minutes M    of each wall (10)
//   --tiles LIST   walls to measure (16,36,64)
//   --compare M    minutes of each way at 9 tiles, and of 36 key frames by MSE (a third of --minutes)
//   --json FILE    everything measured

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { pause, Region, until } from "./region.mjs";
import { cpuOf, DESK, percentile, Site } from "./site.mjs";

const { values: order } = parseArgs({ options: { minutes: { type: "string", default: "10" }, tiles: { type: "string", default: "16,36,64" }, compare: { type: "string" }, json: { type: "string" } } });
const minutes = Number(order.minutes);
const compare = Number(order.compare ?? minutes / 3);
const walls = order.tiles.split(",").map(Number);
if (!(minutes > 0) || walls.some((n) => ![4, 9, 16, 25, 36, 64].includes(n))) throw new Error("--minutes is a number, --tiles some of 4,9,16,25,36,64");

const SAMPLE_MS = 250;
/** A wall settles before it is measured: decoders, buffers and the first pictures. */
const SETTLE_MS = 10_000;
/** Footage is drawn at the first run on a machine. */
const PATIENCE_MS = 1_200_000;

const first = (command, ...args) => execFileSync(command, args, { stdio: ["ignore", "pipe", "ignore"] }).toString().split("\n")[0].trim();
const load = () => readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 3).join(" ");
const processor = /model name\s*: (.*)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown";

/** Runs in the page: ages and states of all tiles four times a second, long tasks, frames of media elements. */
function instruments(every) {
  const held = { ages: [], live: 0, samples: 0, tasks: [], frames: 0, dropped: 0, seen: new Map(), counts: new Map() };
  window.bench = held;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => held.tasks.push(entry.duration))).observe({ type: "longtask" });
  held.timer = setInterval(() => {
    for (const tile of document.querySelectorAll("[data-testid=tile]")) {
      held.samples += 1;
      if (tile.dataset.state === "live") held.live += 1;
      if (tile.dataset.ageMs !== "") held.ages.push(Number(tile.dataset.ageMs));
      const video = tile.querySelector(".stage video:first-child");
      if (video) {
        const now = video.getVideoPlaybackQuality();
        const before = held.seen.get(video) ?? { totalVideoFrames: now.totalVideoFrames, droppedVideoFrames: now.droppedVideoFrames };
        held.frames += now.totalVideoFrames - now.droppedVideoFrames - (before.totalVideoFrames - before.droppedVideoFrames);
        held.dropped += now.droppedVideoFrames - before.droppedVideoFrames;
        held.seen.set(video, now);
      } else {
        const now = Number(tile.dataset.frames);
        held.frames += now - (held.counts.get(tile) ?? now);
        held.counts.set(tile, now);
      }
    }
    // What has left the page is not held.
    for (const video of held.seen.keys()) if (!video.isConnected) held.seen.delete(video);
    for (const tile of held.counts.keys()) if (!tile.isConnected) held.counts.delete(tile);
  }, every);
}

async function heap(cdp) {
  await cdp.send("HeapProfiler.collectGarbage");
  const { metrics } = await cdp.send("Performance.getMetrics");
  const of = (name) => metrics.find((m) => m.name === name)?.value ?? 0;
  return { bytes: of("JSHeapUsedSize"), nodes: of("Nodes"), listeners: of("JSEventListeners") };
}

async function measure(site, region, what, query, tiles, ms) {
  const page = await site.as(region.user((u) => u.role === "supervisor"), `/wall?${query}`, DESK);
  const states = () => page.$$eval("[data-testid=tile]", (all) => all.map((tile) => tile.dataset.state));
  await until(`${tiles} live tiles`, 120_000, async () => {
    const all = await states();
    return all.length === tiles && all.filter((state) => state === "live").length >= tiles * 0.95;
  }, async () => JSON.stringify(await states()));
  await pause(SETTLE_MS);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  const begin = await heap(cdp);
  const loadBefore = load();
  await page.evaluate(`(${instruments})(${SAMPLE_MS})`);
  const [cpuBefore, begun] = [cpuOf("chrom"), Date.now()];
  await pause(ms);
  const seconds = (Date.now() - begun) / 1000;
  const cpu = cpuOf("chrom") - cpuBefore;
  const said = await page.evaluate(() => {
    clearInterval(window.bench.timer);
    const { ages, live, samples, tasks, frames, dropped } = window.bench;
    window.bench = null;
    const tiles = [...document.querySelectorAll("[data-testid=tile]")];
    return { ages, live, samples, tasks, frames, dropped, shed: tiles.filter((t) => t.dataset.shed === "1").length, ways: [...new Set(tiles.map((t) => t.dataset.path))] };
  });
  const end = await heap(cdp);
  await page.context().close();
  return {
    what, tiles, seconds, cpu: (cpu / seconds) * 100, ways: said.ways, shed: said.shed, live: (said.live / Math.max(1, said.samples)) * 100,
    age: { p50: percentile(said.ages, 0.5), p95: percentile(said.ages, 0.95), max: Math.max(...said.ages) },
    frames: said.frames, dropped: said.dropped, tasks: { count: said.tasks.length, total: said.tasks.reduce((a, b) => a + b, 0), longest: Math.max(0, ...said.tasks) },
    heap: { begin, end }, load: [loadBefore, load()],
  };
}

function print(row) {
  const mib = (bytes) => (bytes / 1048576).toFixed(1);
  console.log(`\n${row.what}: ${row.tiles} tiles by ${row.ways.join(", ")} over ${row.seconds.toFixed(0)} s${row.shed > 0 ? `; ${row.shed} of them reduced at the end` : ""} (load ${row.load[0]} before, ${row.load[1]} after)`);
  console.log(`  age of the picture   p50 ${(row.age.p50 / 1000).toFixed(2)} s   p95 ${(row.age.p95 / 1000).toFixed(2)} s   max ${(row.age.max / 1000).toFixed(2)} s   live ${row.live.toFixed(2)} % of the time`);
  console.log(`  frames shown         ${row.frames} (${(row.frames / row.seconds).toFixed(1)} a second), dropped ${row.dropped}`);
  console.log(`  long tasks (> 50 ms) ${row.tasks.count}, ${row.tasks.total.toFixed(0)} ms in all (${(row.tasks.total / row.seconds / 10).toFixed(2)} % of the time), longest ${row.tasks.longest.toFixed(0)} ms`);
  console.log(`  JS heap              ${mib(row.heap.begin.bytes)} → ${mib(row.heap.end.bytes)} MiB after collection; DOM nodes ${row.heap.begin.nodes} → ${row.heap.end.nodes}, listeners ${row.heap.begin.listeners} → ${row.heap.end.listeners}`);
  console.log(`  Chromium             ${row.cpu.toFixed(0)} % of a core`);
}

console.log(`machine   ${availableParallelism()} cores, ${processor}; Chromium runs without a GPU beside the whole region`);
console.log(`load      ${load()} at the start`);
console.log(`versions  ${first(process.env.CHROMIUM ?? "/usr/bin/chromium", "--version")}; node ${process.version}; hallwatch ${first("git", "describe", "--always", "--dirty")}`);
console.log(`command   scripts/bench wall --minutes ${minutes} --tiles ${walls.join(",")} --compare ${compare}`);

const windows = Math.max(9, Math.ceil(Math.max(...walls) / 4));
const region = await Region.start({ windows, data: "bench-wall", most: PATIENCE_MS, recording: false });
const site = await Site.open(region);
const rows = [];
let failed = false;
try {
  for (const tiles of walls) rows.push(await measure(site, region, "the wall as it is", `layout=${tiles}`, tiles, minutes * 60_000));
  for (const [what, layout, way] of [
    ["one MSE player for each tile", 9, "mse"],
    ["key frames through the pooled decoders", 9, "webcodecs"],
    ["key frames by MSE, for those that cannot do otherwise", 36, "mse"],
  ]) {
    rows.push(await measure(site, region, what, `layout=${layout}&path=${way}`, layout, compare * 60_000));
  }
} catch (error) {
  failed = true;
  console.error(error);
} finally {
  rows.forEach(print);
  if (order.json) writeFileSync(order.json, JSON.stringify(rows, null, 2));
  await site.close();
  await region.stop();
}
process.exit(failed ? 1 : 0);
