// The pages beside the wall: signing in, refusals, lists, what is empty, a phone.

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { PHONE } from "../site.mjs";

export function pages(held) {
  const supervisor = () => held.region.user((u) => u.role === "supervisor");

  it("a wrong password is refused in words, the right one opens the first page of one's role", { timeout: 60_000 }, async () => {
    const { site } = held;
    for (const [viewport, prefix] of [[undefined, ""], [PHONE, "phone-"]]) {
      const page = await site.fresh(viewport);
      await page.goto("/");
      await page.waitForURL(/sign-in/);
      await page.locator("input[name=name]").waitFor();
      await site.shot(page, `${prefix}sign-in`);
      await site.type(page, supervisor().name, "not-the-password");
      const alert = page.locator("[role=alert]");
      await alert.waitFor();
      assert.equal((await alert.innerText()).trim(), "用户名或密码错误");
      assert.equal(await page.inputValue("input[name=password]"), "");
      await site.shot(page, `${prefix}sign-in-refused`);
      await site.type(page, supervisor().name, supervisor().password);
      await page.waitForURL("**/overview");
      await page.click("[data-testid=sign-out]");
      await page.waitForURL(/sign-in/);
      await page.context().close();
    }
  });

  it("the list of cases can be narrowed, and says so when it is empty", { timeout: 60_000 }, async () => {
    const { site } = held;
    const page = await site.as(supervisor(), "/cases");
    await page.locator("[data-testid=cases] tbody tr").first().waitFor();
    await page.goto("/cases?hall=450103-01");
    await until("cases of one hall", 60_000, () => page.$$eval("[data-testid=cases] tbody .id", (all) => all.length > 0 && all.every((id) => id.textContent.startsWith("450103-01-"))));
    await site.shot(page, "cases");
    await page.goto("/cases?date=2001-01-01");
    await page.getByText("没有符合条件的办件").waitFor();
    await site.shot(page, "cases-empty");
    await page.goto("/cases/450103-01-20010101-00001-0");
    await page.locator("[role=alert]").waitFor();
    await site.shot(page, "case-unknown");
    await page.goto("/no/such/page");
    await page.getByText("没有这个页面").waitFor();
    await page.context().close();

    const phone = await site.as(supervisor(), "/cases", PHONE);
    await phone.locator("[data-testid=cases] tbody tr").first().waitFor();
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the phone");
    await site.shot(phone, "phone-cases");
    await phone.context().close();
  });
}
