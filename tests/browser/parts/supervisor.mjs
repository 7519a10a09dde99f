// A supervisor's first task, in Chinese and in English: what is wrong in my area, where, and the case behind it.

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, PHONE } from "../site.mjs";

const WORDS = {
  "zh-CN": { overview: "总览", wrong: "正在发生的异常", cases: "办件", empty: "没有符合条件的办件", report: "统计报表", sum: "合计" },
  en: { overview: "Overview", wrong: "Wrong now", cases: "Cases", empty: "No cases match", report: "Reports", sum: "Total" },
};

export function supervisor(held) {
  const region = () => held.region.user((u) => u.role === "supervisor");

  for (const [language, words] of Object.entries(WORDS)) {
    it(`sees the area at one look and finds a case (${language})`, { timeout: 180_000 }, async () => {
      const { site } = held;
      const page = await site.as(region(), "/");
      await page.waitForURL("**/overview");
      if (language === "en") await page.click("[data-testid=language]");
      await page.getByRole("link", { name: words.overview, exact: true }).waitFor();
      await page.getByRole("heading", { name: words.wrong }).waitFor();
      const { json } = await ask(page, `/areas/${region().area}/overview`);
      assert.equal(json.figures.halls, held.region.ready.halls.length);
      // Every hall stands on the map with its state in words.
      const cells = page.locator("[data-testid=hall-map] li");
      assert.equal(await cells.count(), held.region.ready.halls.length);
      for (const text of await cells.allInnerTexts()) assert.match(text, /\S+\n\S+/);
      await site.shot(page, `supervisor-overview-${language}`);

      // Down to a city, to a hall, and back by the way above the title.
      await page.locator("[data-testid=hall-map] header a").first().click();
      await page.waitForURL(/area=/);
      await page.locator("[data-testid=hall-map] li a").first().click();
      await until("the hall's windows", 30_000, async () => (await page.locator(".windows li").count()) > 0);
      await page.locator(".way a").first().click();
      await page.locator("[data-testid=hall-map]").waitFor();

      // A case by its ID, typed.
      const closed = await until("a case", 60_000, async () => (await ask(page, "/cases?limit=1")).json.items[0]);
      await page.getByRole("link", { name: words.cases, exact: true }).click();
      await page.fill("input[name=q]", closed.case_id);
      await page.keyboard.press("Enter");
      await until("that case alone", 30_000, () => page.$$eval("[data-testid=cases] tbody .id", (all, id) => all.length === 1 && all[0].textContent === id, closed.case_id));
      assert.match(page.url(), /q=/);
      await page.locator("[data-testid=cases] tbody a").first().click();
      await page.locator("[data-testid=case] ol").waitFor();
      await site.shot(page, `supervisor-case-${language}`);
      await page.goto("/cases?q=no-such-number-9");
      await page.getByText(words.empty).waitFor();

      // The month, with its sums.
      await page.goto("/reports");
      await page.getByRole("heading", { name: words.report }).waitFor();
      await page.locator("[data-testid=report-rows] tfoot").getByText(words.sum).waitFor();
      await page.context().close();
    });
  }

  it("binds an official number, is told of a conflict, and finds the case by it", { timeout: 120_000 }, async () => {
    const { site } = held;
    const page = await site.as(region(), "/cases");
    const list = await until("two cases", 60_000, async () => {
      const { items } = (await ask(page, "/cases?limit=2")).json;
      return items.length === 2 && items;
    });
    await page.goto(`/cases/${list[0].case_id}`);
    const bind = async (number) => {
      await page.locator("[data-testid=bind-number]").click();
      await page.fill("input[name=official_no]", number);
      await page.fill("input[name=source]", "browser-test");
      await page.locator("[data-testid=save-number]").click();
    };
    await bind("OFFICIAL-1");
    await page.locator(".official .code").getByText("OFFICIAL-1").waitFor();
    await bind("OFFICIAL-2");
    await page.locator(".official [role=alert]").waitFor();
    await page.locator("[data-testid=save-number]").click();
    await page.locator(".official .code").getByText("OFFICIAL-2").waitFor();
    await page.goto("/cases?q=OFFICIAL-2");
    await until("the case by its number", 30_000, () => page.$$eval("[data-testid=cases] tbody .id", (all, id) => all.length === 1 && all[0].textContent === id, list[0].case_id));
    await page.context().close();
  });

  it("saves what a table shows", { timeout: 120_000 }, async () => {
    const { site } = held;
    const page = await site.as(region(), "/cases?state=closed");
    await page.locator("[data-testid=cases] tbody tr").first().waitFor();
    // Chromium saves nothing from a site whose certificate it was told to overlook; what it would save is fetched instead.
    const fetched = (name) => page.locator(".export a[download]").filter({ hasText: name }).evaluate(async (link) => {
      const answer = await fetch(link.href);
      return { as: answer.headers.get("content-disposition"), bytes: [...new Uint8Array(await answer.arrayBuffer())] };
    });
    for (const [name, head] of [["Excel", [0x50, 0x4b]], ["CSV", [0xef, 0xbb, 0xbf]]]) {
      const file = await fetched(name);
      assert.match(file.as, /^attachment; filename=/, name);
      assert.deepEqual(file.bytes.slice(0, head.length), head, name);
      assert.ok(file.bytes.length > 200, name);
    }
    await page.context().close();
  });

  it("works on a phone", { timeout: 120_000 }, async () => {
    const { site } = held;
    for (const path of ["/overview", "/cases", "/ratings", "/compare", "/reports"]) {
      const page = await site.as(region(), path, PHONE);
      await page.locator("section.page").waitFor();
      await page.waitForLoadState("networkidle");
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is wider than the phone`);
      await page.context().close();
    }
  });
}
