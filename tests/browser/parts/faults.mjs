// A frozen picture is never passed off as live.

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { liveTiles, tilesOf, told } from "../site.mjs";

/** A moving tile is stale once its picture is older than this (web/src/video/tilestate.ts). */
const STALE_MS = 5000;

export function faults(held) {
  it("a frozen camera's tile grows old in sight and comes back by itself", { timeout: 120_000 }, async (t) => {
    const { site, region } = held;
    const camera = "450102-01-W03-C1";
    const page = await site.as(region.user((u) => u.role === "supervisor"), "/wall?node=450102-01&layout=9");
    await liveTiles(site, page, 9);
    await page.evaluate(() => {
      window.course = [];
      window.sampler = setInterval(() => {
        for (const tile of document.querySelectorAll("[data-testid=tile]")) {
          const { camera, state, ageMs } = tile.dataset;
          window.course.push({ at: Date.now(), camera, state, age: ageMs === "" ? null : Number(ageMs) });
        }
      }, 200);
    });
    const frozenAt = Date.now();
    await region.control("450102-01", "/faults", { camera: region.device(camera), fault: "freeze", seconds: 16 });
    const mine = async () => (await tilesOf(page)).find((tile) => tile.camera === camera);
    let now = null;
    await until("the frozen tile is stale", STALE_MS + 4000, async () => (now = await mine()).state !== "live", () => JSON.stringify(now));
    const staleAfter = Date.now() - frozenAt;
    assert.equal(now.state, "stale");
    const shown = await page.locator(`[data-camera='${camera}'] .frozen`).innerText();
    assert.match(shown, /画面停在 [\d.]+ 秒前/);
    const cover = page.locator(`[data-camera='${camera}'] .cover small`);
    await until("it says why, in Chinese", 3000, async () => (await cover.innerText()) === "摄像机不再送出画面，正在重连", () => cover.innerText());
    await until("its age is 9 s", 10_000, async () => Number((await mine()).ageMs) > 9000);
    await site.shot(page, "wall-frozen");
    await liveTiles(site, page, 9, 45_000);
    const backAfter = Date.now() - frozenAt - 16_000;
    t.diagnostic(`stale ${staleAfter} ms after the camera froze, live again ${backAfter} ms after it came back`);

    const course = await page.evaluate(() => {
      clearInterval(window.sampler);
      return window.course;
    });
    const own = course.filter((row) => row.camera === camera);
    const lies = course.filter((row) => row.state === "live" && (row.age === null || row.age > STALE_MS));
    assert.deepEqual(lies, [], "a tile called an old picture live");
    const frozen = own.filter((row) => row.at > frozenAt + STALE_MS + 2500 && row.at < frozenAt + 15_500);
    assert.ok(frozen.length > 20 && frozen.every((row) => row.state !== "live"), "the frozen tile was live in between");
    assert.ok(frozen.every((row, i) => i === 0 || row.age >= frozen[i - 1].age), "its age did not grow");
    const others = course.filter((row) => row.camera !== camera && row.state !== "live");
    assert.deepEqual(others.slice(0, 3), [], `other tiles were not live: ${told(await tilesOf(page))}`);
    await page.context().close();
  });
}
