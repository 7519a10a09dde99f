// Each way of showing a camera, forced by `?path=`: its own window's picture comes to live by it. What the ways cost is
// measured by `scripts/bench wall`.

import assert from "node:assert/strict";
import { it } from "node:test";
import { liveTiles } from "../site.mjs";

const TILES = 4;

export function paths(held) {
  for (const way of ["mse", "webcodecs", "still"]) {
    it(`${TILES} tiles come to live by ${way}, each with its own window's picture`, { timeout: 120_000 }, async () => {
      const { site, region } = held;
      const page = await site.as(region.user((u) => u.role === "supervisor"), `/wall?layout=${TILES}&path=${way}`);
      await liveTiles(site, page, TILES, 60_000);
      assert.deepEqual(await page.$$eval("[data-testid=tile]", (all) => all.map((tile) => tile.dataset.path)), Array(TILES).fill(way));
      await page.context().close();
    });
  }
}
