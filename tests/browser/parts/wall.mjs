// The wall shows every window's own, moving picture; what is out of sight is not streamed.

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, DESK, liveTiles, PHONE, tilesOf, told } from "../site.mjs";

/** Pixels outside the mark (of 320 × 180) that must differ between two moments. */
const MOVED = 40;

export function wall(held) {
  const supervisor = () => held.region.user((u) => u.role === "supervisor");

  for (const count of [16, 36]) {
    it(`${count} tiles: each its own window's picture, and it moves`, { timeout: 90_000 }, async (t) => {
      const { site } = held;
      const page = await site.as(supervisor(), `/wall?layout=${count}`);
      const first = await liveTiles(site, page, count, 40_000, true);
      assert.equal(new Set(first.map((tile) => tile.camera)).size, count);
      t.diagnostic(`ways: ${[...new Set(first.map((tile) => tile.path))]}; widths: ${[...new Set(first.map((tile) => tile.width))]}`);
      let later = [];
      await until("every picture differs from before", 20_000, async () => {
        later = await tilesOf(page);
        return later.every((tile) => tile.changed >= MOVED && tile.mark === site.region.camera(tile.camera).mark);
      }, () => told(later.filter((tile) => tile.changed < MOVED)));
      assert.ok(later.every((tile) => tile.state === "live"), told(later));
      await site.shot(page, `wall-${count}`);
      await page.context().close();
    });
  }

  it("a phone has the wall in two columns and the tree in a drawer", { timeout: 60_000 }, async () => {
    const { site } = held;
    const page = await site.as(supervisor(), "/wall?layout=16", PHONE);
    await until("live tiles", 30_000, async () => (await tilesOf(page)).filter((tile) => tile.state === "live").length >= 6);
    await site.shot(page, "phone-wall-16");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the phone");
    assert.equal(await page.locator("[role=tree]").isVisible(), false);
    await page.click("[data-testid=open-tree]");
    await page.locator("[role=tree]").waitFor({ state: "visible" });
    await until("the drawer is open", 5000, () => page.locator("[role=tree]").evaluate((tree) => tree.getBoundingClientRect().left >= 0));
    await site.shot(page, "phone-tree");
    await page.locator("[data-node='450103']").click();
    await page.waitForURL(/node=450103/);
    await page.locator("[role=tree]").waitFor({ state: "hidden" });
    // Tiles that are scrolled out of sight are given back after their grace of 5 s.
    const all = await page.locator("[data-testid=tile]").count();
    await until("tiles out of sight are not watched", 10_000, () => page.evaluate((n) => window.watched.length < n && window.watched.length > 0, all));
    await page.context().close();
  });

  it("what is hidden is not streamed: another layout, a page in the background", { timeout: 90_000 }, async (t) => {
    const { site, region } = held;
    const admin = await site.as(region.user((u) => u.role === "administrator"), "/cases");
    const streams = async () => {
      const text = await admin.evaluate(async () => (await fetch("/metrics")).text());
      return Number(/^hallwatch_live_streams (\d+)/m.exec(text)?.[1]);
    };
    const page = await site.as(supervisor(), "/wall?layout=16", DESK);
    await liveTiles(site, page, 16);
    const before = await streams();
    assert.ok(before >= 16, `${before} streams for 16 tiles`);
    await page.click("[data-layout='4']");
    await liveTiles(site, page, 4);
    assert.equal(await page.evaluate(() => window.watched.length), 4);
    await until("the centre drops the other streams", 20_000, async () => (await streams()) <= 4, async () => `${await streams()} streams`);
    // Chromium without a window never hides a page by itself, so the page is told.
    await page.evaluate(() => {
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await until("a hidden page watches nothing", 10_000, () => page.evaluate(() => window.watched.length === 0));
    await until("the centre has no stream left", 20_000, async () => (await streams()) === 0, async () => `${await streams()} streams`);
    await page.evaluate(() => {
      delete document.visibilityState;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await liveTiles(site, page, 4);
    t.diagnostic(`streams at the centre: ${before} for 16 tiles, 0 for a hidden page`);
    assert.equal((await ask(admin, "/cameras")).status, 200);
    await admin.context().close();
    await page.context().close();
  });
}
