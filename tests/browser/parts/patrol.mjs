// The wall by itself and by keys: patrol, presets, alarms, stills, two screens side by side.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, DESK, liveTiles, tilesOf, told } from "../site.mjs";

export function patrol(held) {
  const supervisor = () => held.region.user((u) => u.role === "supervisor");
  const onWall = (page) => page.$$eval("[data-testid=tile]", (all) => all.map((tile) => tile.dataset.camera));

  it("the patrol turns the pages, its next page is ready before, Space pauses it", { timeout: 120_000 }, async (t) => {
    const { site } = held;
    const page = await site.as(supervisor(), "/wall?layout=4&patrol=5");
    await liveTiles(site, page, 4, 40_000);
    // Every frame of the page: whether a tile that is shown has no picture.
    await page.evaluate(() => {
      window.turns = { black: 0, frames: 0, pages: new Set() };
      const look = () => {
        const tiles = [...document.querySelectorAll("[data-testid=tile]")];
        window.turns.pages.add(tiles.map((tile) => tile.dataset.camera).join());
        window.turns.frames += 1;
        if (tiles.some((tile) => tile.dataset.frames === "0")) window.turns.black += 1;
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    const state = () => page.locator("[data-testid=patrol-state]").evaluate((e) => ({ running: e.dataset.running === "true", paused: e.dataset.paused === "true" }));
    await until("three pages were shown", 60_000, () => page.evaluate(() => window.turns.pages.size >= 3));
    const turns = await page.evaluate(() => ({ ...window.turns, pages: window.turns.pages.size }));
    t.diagnostic(`${turns.pages} pages; in ${turns.black} of ${turns.frames} frames a tile had no picture yet`);
    await page.keyboard.press("Space");
    await until("it is paused", 5000, async () => (await state()).paused && !(await state()).running);
    const stands = await onWall(page);
    await liveTiles(site, page, 4, 30_000);
    assert.deepEqual(await onWall(page), stands);
    await page.keyboard.press("Space");
    await until("it goes on", 30_000, async () => (await onWall(page)).join() !== stands.join());
    // A window opened large is not turned away from.
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await page.locator("[data-testid=focus]").waitFor();
    await until("it waits", 5000, async () => !(await state()).running);
    await page.keyboard.press("Escape");
    await page.keyboard.press("p");
    await page.waitForURL((url) => !url.searchParams.has("patrol"));
    await page.context().close();
  });

  it("by hall every hall begins a page of its own", { timeout: 60_000 }, async () => {
    const { site, region } = held;
    const page = await site.as(supervisor(), "/wall?layout=16&groups=hall");
    const tiles = await liveTiles(site, page, 9, 40_000);
    assert.equal(new Set(tiles.map((tile) => tile.camera.slice(0, 9))).size, 1, "one hall");
    assert.match(await page.locator("[data-testid=page]").innerText(), new RegExp(`${region.ready.halls.length}`));
    await page.context().close();
  });

  it("a preset is saved, shared with a county, and shows each their own cameras", { timeout: 120_000 }, async () => {
    const { site, region } = held;
    const county = region.user((u) => u.role === "supervisor" && u.area.length === 6 && !u.area.endsWith("00"));
    const page = await site.as(supervisor(), "/wall?layout=9&order=risk");
    await liveTiles(site, page, 9, 40_000);
    await page.click("[data-testid=presets]");
    await page.fill("[name=preset-name]", "早高峰");
    await page.selectOption("[name=preset-scope]", county.area);
    await page.click("[data-testid=preset-panel] button[type=submit]");
    const row = page.locator("[data-preset]").first();
    await row.waitFor();
    const id = await row.getAttribute("data-preset");
    await site.shot(page, "presets");
    const all = (await ask(page, "/wall/presets")).json.items.find((p) => p.id === id);
    assert.ok(all.wall.cameras.length > 9 && all.hidden === 0 && all.mine);

    const theirs = await site.as(county, `/wall?preset=${id}&layout=36`);
    const own = all.wall.cameras.filter((camera) => camera.startsWith(county.area));
    const tiles = await liveTiles(site, theirs, own.length, 40_000);
    assert.deepEqual(tiles.map((tile) => tile.camera), own);
    assert.equal(await theirs.locator("h1").innerText(), "早高峰");
    await theirs.reload();
    await until("the same after a reload", 30_000, async () => (await onWall(theirs)).join() === own.join());
    await theirs.context().close();

    await row.locator(".pick").click();
    await page.waitForURL(new RegExp(`preset=${id}`));
    await page.click("[data-testid=presets]");
    await page.locator(`[data-preset='${id}'] button:last-child`).click();
    await page.click("[data-testid=preset-remove-yes]");
    await page.getByText("还没有预案").waitFor();
    await page.getByText("此预案已不存在").waitFor();
    await page.context().close();
  });

  it("an alarm pops up, takes no focus, and a key leads to its window", { timeout: 120_000 }, async () => {
    const { site, region } = held;
    const camera = "450203-01-W02-C1";
    const page = await site.as(supervisor(), "/wall?layout=4");
    await liveTiles(site, page, 4, 40_000);
    await page.keyboard.press("ArrowRight");
    const before = await page.evaluate(() => document.activeElement?.dataset.camera);
    await region.control("450203-01", "/faults", { camera: region.device(camera), fault: "drop", seconds: 25 });
    const alarm = page.locator(`[data-alarm='camera:${camera}']`);
    await alarm.waitFor({ timeout: 40_000 });
    assert.equal(await page.evaluate(() => document.activeElement?.dataset.camera), before);
    await site.shot(page, "alarm");
    await page.keyboard.press("a");
    // Others may have come after it.
    const chosen = () => page.evaluate(() => document.activeElement?.closest("[data-alarm]")?.dataset.alarm);
    await until("its alarm is chosen", 15_000, async () => {
      if ((await chosen()) === `camera:${camera}`) return true;
      await page.keyboard.press((await chosen()) === undefined ? "a" : "ArrowDown");
      return false;
    });
    await page.keyboard.press("Enter");
    await page.locator(`[data-testid=focus][data-camera='${camera}']`).waitFor();
    await page.keyboard.press("Escape");
    await page.locator("[data-testid=focus]").waitFor({ state: "detached" });
    await page.keyboard.press("?");
    await page.locator("[data-testid=key-help]").waitFor();
    await site.shot(page, "keys");
    await page.keyboard.press("Escape");
    await page.locator("[data-testid=key-help]").waitFor({ state: "detached" });
    await until("the camera is back", 60_000, async () => (await ask(page, "/cameras?hall=450203-01")).json.items.find((c) => c.id === camera).state === "live");
    await page.context().close();
  });

  it("S saves what the tile shows, with camera and true time in its name", { timeout: 60_000 }, async () => {
    const { site } = held;
    const page = await site.as(supervisor(), "/wall?layout=4");
    const [tile] = await liveTiles(site, page, 4, 40_000);
    await page.keyboard.press("ArrowRight");
    const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("s")]);
    assert.match(download.suggestedFilename(), new RegExp(`^${tile.camera}_\\d{8}-\\d{6}\\.\\d{3}(_[\\w-]+)?\\.jpg$`));
    const bytes = await readFile(await download.path());
    assert.deepEqual([...bytes.subarray(0, 2)], [0xff, 0xd8]);
    assert.ok(bytes.length > 5000, `${bytes.length} bytes`);
    await page.context().close();
  });

  it("two screens side by side are filled", { timeout: 90_000 }, async () => {
    const { site } = held;
    const page = await site.as(supervisor(), "/wall?layout=36", { width: 3840, height: 1080 });
    await until("live tiles", 60_000, async () => (await tilesOf(page)).filter((tile) => tile.state === "live").length === 36, async () => told(await tilesOf(page)));
    const { grid, field } = await page.evaluate(() => ({ grid: document.querySelector("[data-testid=wall]").clientWidth, field: document.querySelector(".field").clientWidth }));
    assert.ok(grid > field * 0.9, `the grid is ${grid} of ${field} px wide`);
    await site.shot(page, "wide-36");
    await page.setViewportSize(DESK);
    await until("six columns again", 5000, () => page.evaluate(() => getComputedStyle(document.querySelector("[data-testid=wall]")).gridTemplateColumns.split(" ").length === 6));
    await page.context().close();
  });
}
