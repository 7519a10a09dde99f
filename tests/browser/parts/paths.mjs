// What each way of showing key frames costs on this machine, printed for those who choose the default
// (web/src/video/tile.ts). Asserts only that every tile lives.

import { it } from "node:test";
import { pause } from "../region.mjs";
import { cpuOf, liveTiles, percentile } from "../site.mjs";

const SECONDS = 20;

export function paths(held) {
  for (const way of ["mse", "webcodecs"]) {
    it(`36 key tiles by ${way}: age and CPU over ${SECONDS} s`, { timeout: 90_000 }, async (t) => {
      const { site, region } = held;
      const page = await site.as(region.user((u) => u.role === "supervisor"), `/wall?layout=36&path=${way}`);
      await liveTiles(site, page, 36, 40_000);
      await page.evaluate(() => {
        window.ages = [];
        window.sampler = setInterval(() => {
          for (const tile of document.querySelectorAll("[data-testid=tile]")) window.ages.push({ age: Number(tile.dataset.ageMs), live: tile.dataset.state === "live" });
        }, 250);
      });
      const [before, begun] = [cpuOf("chrom"), Date.now()];
      await pause(SECONDS * 1000);
      const seconds = (Date.now() - begun) / 1000;
      const cpu = ((cpuOf("chrom") - before) / seconds) * 100;
      const rows = await page.evaluate(() => {
        clearInterval(window.sampler);
        return window.ages;
      });
      const ages = rows.map((row) => row.age);
      t.diagnostic(`${way}: age p50 ${percentile(ages, 0.5)} ms, p95 ${percentile(ages, 0.95)} ms; live ${((rows.filter((r) => r.live).length / rows.length) * 100).toFixed(1)} %; Chromium ${cpu.toFixed(0)} % of a core`);
      await page.context().close();
    });
  }
}
