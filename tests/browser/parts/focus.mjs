// One window large, and everything that a person reaches by keys and addresses.

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, liveTiles, PHONE, tilesOf, told } from "../site.mjs";
import { printTicket, readyWindow } from "./overlay.mjs";

export function focus(held) {
  const supervisor = () => held.region.user((u) => u.role === "supervisor");

  it("Enter opens the window large: main stream, running case, Esc closes", { timeout: 120_000 }, async (t) => {
    const { site, region } = held;
    const windowId = "450103-02-W02";
    const page = await site.as(supervisor(), "/wall?node=450103-02&layout=9");
    await liveTiles(site, page, 9);
    const window = await readyWindow(region, page, windowId);
    await printTicket(region, page, windowId);
    await window.press("call");
    await until("the call at the centre", 5000, async () => (await window.stateOf()).state === "called");

    // By keys alone: first tile, one to the right, open.
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.evaluate(() => document.activeElement?.dataset.window), windowId);
    const begun = Date.now();
    await page.keyboard.press("Enter");
    await page.locator("[data-testid=focus]").waitFor();
    let shown = null;
    await until("the main stream", 20_000, async () => {
      shown = (await tilesOf(page)).find((tile) => tile.window === windowId && tile.tile === "1" && tile.width >= 1280) ?? null;
      return shown !== null && shown.state === "live" && shown.mark === region.ready.cameras.find((c) => c.window === windowId).mark;
    }, () => JSON.stringify(shown));
    t.diagnostic(`main stream, ${shown.width} wide, after ${Date.now() - begun} ms`);
    const kinds = () => page.$$eval("[data-testid=timeline] li", (all) => all.map((li) => li.dataset.kind));
    await until("the call in the timeline", 5000, async () => (await kinds()).includes("ticket.called"));
    assert.ok((await kinds()).includes("ticket.issued"));
    await window.press("start");
    await until("the start in the timeline", 3000, async () => (await kinds()).includes("service.started"));
    await site.shot(page, "focus");
    const caseId = await page.locator("[data-testid=focus-case] a").innerText();
    assert.equal((await window.stateOf()).case_id, caseId);

    await page.reload();
    await page.locator("[data-testid=focus]").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("[data-testid=focus]").waitFor({ state: "detached" });
    await liveTiles(site, page, 9);
    await page.locator(`[data-window='${windowId}']`).click();
    await page.locator("[data-testid=focus]").waitFor();
    await page.goBack();
    await page.locator("[data-testid=focus]").waitFor({ state: "detached" });

    await page.goto(`/cases/${caseId}`);
    await page.locator("[data-testid=case] ol li").first().waitFor();
    assert.ok((await page.$$eval("[data-testid=case] ol li", (all) => all.map((li) => li.dataset.kind))).includes("service.started"));
    await site.shot(page, "case");

    const phone = await site.as(supervisor(), `/wall?node=450103-02&focus=${windowId}-C1`, PHONE);
    await until("the main stream on the phone", 20_000, async () => (await tilesOf(phone)).some((tile) => tile.width >= 1280 && tile.state === "live"));
    await phone.locator("[data-testid=timeline] li").first().waitFor();
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the phone");
    await site.shot(phone, "phone-focus");
    await phone.goto(`/cases/${caseId}`);
    await phone.locator("[data-testid=case] ol li").first().waitFor();
    await site.shot(phone, "phone-case");
    await phone.context().close();

    await window.press("evaluate");
    await region.control(window.hall, "/day", { running: true });
    await page.context().close();
  });

  it("the address keeps place, layout and page; keys change them", { timeout: 60_000 }, async () => {
    const { site } = held;
    const page = await site.as(supervisor(), "/wall");
    await page.locator("[data-node='450203']").click();
    await page.waitForURL(/node=450203/);
    await page.locator("[data-testid=tile]").first().waitFor();
    await page.keyboard.press("2");
    await page.waitForURL(/layout=4/);
    await page.keyboard.press("PageDown");
    await page.waitForURL(/page=2/);
    const cameras = () => page.$$eval("[data-testid=tile]", (all) => all.map((tile) => tile.dataset.camera));
    const before = await cameras();
    assert.equal(before.length, 4);
    await page.reload();
    await page.locator("[data-testid=tile]").first().waitFor();
    assert.deepEqual(await cameras(), before);
    assert.equal(await page.locator("[data-testid=wall]").getAttribute("data-layout"), "4");
    assert.equal(await page.locator("[data-node='450203']").getAttribute("aria-selected"), "true");
    await page.keyboard.press("8");
    await page.waitForURL(/layout=1(%2B|\+)5/);
    const tiles = await liveTiles(site, page, 6);
    const widths = tiles.map((tile) => tile.width);
    assert.ok(widths[0] >= 1280 && widths[1] < 1280, `the big tile takes the main stream: ${widths} ${told(tiles)}`);
    await site.shot(page, "wall-1+5");
    await page.context().close();
  });

  it("in English no Chinese label is left", { timeout: 60_000 }, async () => {
    const { site, region } = held;
    const page = await site.as(supervisor(), "/wall?layout=9");
    await liveTiles(site, page, 9);
    await page.click("[data-testid=language]");
    await page.getByText("Sign out").or(page.locator("[title='Sign out']")).first().waitFor();
    // What comes from data stays as people wrote it.
    const names = new Set(["厅窗", "中"]);
    const add = (items) => items.forEach((item) => [item.name, item.clerk?.name, ...(item.businesses ?? [])].forEach((n) => n && names.add(n)));
    for (const path of ["/areas", "/halls", "/cameras"]) add((await ask(page, path)).json.items);
    for (const hall of region.ready.halls) {
      add((await ask(page, `/halls/${hall.id}/windows`)).json.items);
      add((await ask(page, `/cases?hall=${hall.id}&limit=50`)).json.items.map((c) => ({ name: c.business, clerk: { name: c.clerk_name } })));
    }
    for (const [, business] of [["A", "社保"], ["B", "不动产"], ["C", "公安户政"], ["D", "市场监管"]]) names.add(business);
    const left = () => page.evaluate((known) => {
      const longest = [...known].sort((a, b) => b.length - a.length);
      const rest = (text) => longest.reduce((t, name) => t.replaceAll(name, ""), text);
      const found = [];
      const look = (text, where) => {
        if (text && /[\u3400-\u9fff]/.test(rest(text))) found.push(`${where}: ${text.trim()}`);
      };
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) look(walker.currentNode.data, walker.currentNode.parentElement?.tagName);
      for (const element of document.querySelectorAll("[title],[aria-label],[placeholder]")) {
        for (const name of ["title", "aria-label", "placeholder"]) look(element.getAttribute(name), `${element.tagName}@${name}`);
      }
      return found;
    }, [...names]);
    await until("English on the wall", 5000, async () => (await left()).length === 0, async () => (await left()).slice(0, 5).join(" | "));
    await site.shot(page, "wall-english");
    await page.locator("[data-testid=tile]").first().click();
    await page.locator("[data-testid=focus]").waitFor();
    assert.deepEqual(await left(), []);
    await page.goto("/cases");
    await page.locator("[data-testid=cases] tbody tr").first().waitFor();
    await until("English in the list", 5000, async () => (await left()).length === 0, async () => (await left()).slice(0, 5).join(" | "));
    await page.locator("[data-testid=cases] tbody tr").first().click();
    await page.locator("[data-testid=case] ol li").first().waitFor();
    await until("English in the case", 5000, async () => (await left()).length === 0, async () => (await left()).slice(0, 5).join(" | "));
    await page.context().close();
  });
}
