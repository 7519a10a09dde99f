// The hall manager's first task, in Chinese and in English: is the queue in hand, and would one more window help?

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, PHONE } from "../site.mjs";

const WORDS = {
  "zh-CN": { title: "排队情况", verdicts: ["排队正常", "需要处理", "未开窗"], limits: "本大厅的阈值" },
  en: { title: "Queue", verdicts: ["In hand", "Needs attention", "No window open"], limits: "Thresholds of this hall" },
};

/** The one hall that the manager sees. */
async function onlyHall(page) {
  const { json } = await ask(page, "/halls");
  assert.equal(json.items.length, 1);
  return json.items[0].id;
}

export function queue(held) {
  const manager = () => held.region.user((u) => u.role === "hall_manager");

  for (const [language, words] of Object.entries(WORDS)) {
    it(`a hall manager comes to the queue of their hall after signing in (${language})`, { timeout: 180_000 }, async () => {
      const { site } = held;
      const page = await site.fresh();
      await page.goto("/");
      await page.locator("input[name=name]").waitFor();
      if (language === "en") await page.evaluate(() => localStorage.setItem("hallwatch.language", "en"));
      await page.goto("/");
      await site.type(page, manager().name, manager().password);
      await page.waitForURL("**/halls/*/queue", { timeout: 60_000 });
      const hall = await onlyHall(page);
      assert.equal(new URL(page.url()).pathname, `/halls/${hall}/queue`);
      await page.getByRole("heading", { level: 1, name: words.title }).waitFor({ timeout: 60_000 });

      // The first question is answered in words and numbers, and they are what the centre says.
      const verdict = page.locator("[data-testid=verdict]");
      await verdict.waitFor({ timeout: 60_000 });
      const text = await verdict.innerText();
      assert.ok(words.verdicts.some((word) => text.includes(word)), text);
      await until("the page's number of people waiting is the centre's", 60_000, async () => {
        const { json } = await ask(page, `/halls/${hall}/queue`);
        const shown = await page.locator("[data-testid=waiting]").innerText();
        return shown === String(json.waiting) && (await page.locator("[data-testid=windows] li").count()) === json.windows.length;
      });
      assert.ok((await page.locator("[data-testid=businesses] tbody tr").count()) > 0);
      assert.equal(await page.locator("[data-testid=updated]").count(), 1);

      // The day: the seeded yesterday has content; a quarter's exact values by the arrow keys, and the same as a table.
      const today = (await ask(page, `/halls/${hall}/queue/quarters`)).json.date;
      const yesterday = new Date(Date.parse(`${today}T00:00:00Z`) - 86_400_000).toISOString().slice(0, 10);
      await page.goto(`/halls/${hall}/queue?date=${yesterday}`);
      const day = (await ask(page, `/halls/${hall}/queue/quarters?date=${yesterday}`)).json;
      assert.ok(day.total.now.arrivals > 0 && day.items.length > 0, "yesterday was seeded");
      const chart = page.locator("figure svg");
      await chart.waitFor({ timeout: 60_000 });
      await chart.focus();
      await page.keyboard.press("ArrowRight");
      const exact = await page.locator("[data-testid=exact]").innerText();
      assert.ok(exact.includes(day.items[0].from) && exact.includes(String(day.items[0].now.arrivals)), exact);
      await site.shot(page, `queue-${language}`);
      await page.click("[data-testid=as-table]");
      await page.locator("[data-testid=quarters] tbody tr").first().waitFor();
      assert.equal(await page.locator("[data-testid=quarters] tbody tr").count(), day.items.length);
      await page.context().close();
    });
  }

  it("one more window is asked for, a threshold is changed, and it fits a phone", { timeout: 180_000 }, async () => {
    const { site } = held;
    const page = await site.fresh();
    await page.goto("/");
    await site.type(page, manager().name, manager().password);
    await page.locator("[data-testid=forecast]").waitFor({ timeout: 60_000 });
    const hall = await onlyHall(page);
    const forecast = (await ask(page, `/halls/${hall}/forecast?extra_windows=1`)).json;
    assert.ok("mae_minutes" in forecast && "p90_coverage" in forecast);
    assert.equal(forecast.what_if === null, forecast.method !== "queue_length");
    if (forecast.method === "queue_length") {
      await page.click("[data-testid=what-if]");
      await page.waitForURL(/extra=1/);
    }
    await page.click("[data-testid=open-limits]");
    const form = page.locator("[data-testid=limits]");
    await form.waitFor({ timeout: 60_000 });
    const field = form.locator("input[name=pause_minutes]");
    await field.fill("21");
    await field.press("Tab");
    await site.shot(page, "queue-limits");
    await page.click("[data-testid=save-limits]");
    await until("the threshold is the centre's", 60_000, async () => (await ask(page, `/halls/${hall}/queue/thresholds`)).json.thresholds.pause_minutes === 21);
    const state = await page.context().storageState();
    await page.context().close();

    const phone = await site.fresh(PHONE, state);
    await phone.goto(`/halls/${hall}/queue`);
    await phone.locator("[data-testid=verdict]").waitFor({ timeout: 60_000 });
    await phone.locator("[data-testid=forecast]").waitFor({ timeout: 60_000 });
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the phone");
    await site.shot(phone, "phone-queue");
    await phone.context().close();
  });
}
