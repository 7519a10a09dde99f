// What each way of showing key frames costs on this machine, printed for those who choose the default
// (web/src/video/tile.ts). Asserts only that every tile comes to live. The ways take turns, so that whatever else the
// machine does meets both.

import { it } from "node:test";
import { pause } from "../region.mjs";
import { cpuOf, liveTiles, percentile } from "../site.mjs";

const TURNS = 2;
const SECONDS = 10;

export function paths(held) {
  it(`36 key tiles by MSE and by WebCodecs: age and CPU over ${TURNS * SECONDS} s each`, { timeout: 240_000 }, async (t) => {
    const { site, region } = held;
    const sums = { mse: { rows: [], cpu: 0, seconds: 0 }, webcodecs: { rows: [], cpu: 0, seconds: 0 } };
    for (let turn = 0; turn < TURNS; turn += 1) {
      for (const way of Object.keys(sums)) {
        const page = await site.as(region.user((u) => u.role === "supervisor"), `/wall?layout=36&path=${way}`);
        await liveTiles(site, page, 36, 45_000);
        await page.evaluate(() => {
          window.ages = [];
          window.sampler = setInterval(() => {
            for (const tile of document.querySelectorAll("[data-testid=tile]")) window.ages.push({ age: Number(tile.dataset.ageMs), live: tile.dataset.state === "live" });
          }, 250);
        });
        const [before, begun] = [cpuOf("chrom"), Date.now()];
        await pause(SECONDS * 1000);
        const sum = sums[way];
        sum.seconds += (Date.now() - begun) / 1000;
        sum.cpu += cpuOf("chrom") - before;
        sum.rows.push(...(await page.evaluate(() => {
          clearInterval(window.sampler);
          return window.ages;
        })));
        await page.context().close();
      }
    }
    for (const [way, { rows, cpu, seconds }] of Object.entries(sums)) {
      const ages = rows.map((row) => row.age);
      const live = (rows.filter((row) => row.live).length / rows.length) * 100;
      t.diagnostic(`${way}: age p50 ${percentile(ages, 0.5)} ms, p95 ${percentile(ages, 0.95)} ms; live ${live.toFixed(1)} %; Chromium ${((cpu / seconds) * 100).toFixed(0)} % of a core`);
    }
  });
}
