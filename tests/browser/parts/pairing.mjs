// Pairing from the centre: the hall's own pages by the other door, for technicians and administrators; site passes.

import assert from "node:assert/strict";
import { it } from "node:test";
import { PHONE, ask } from "../site.mjs";

export function pairing(held) {
  const admin = () => held.region.user((u) => u.role === "administrator");
  const hall = () => held.region.ready.halls[0];

  it("the hall's devices are seen through the centre, on a desk and on a phone", { timeout: 90_000 }, async () => {
    const { site } = held;
    const page = await site.as(admin(), "/nodes");
    await page.locator("[data-testid=nodes] tbody a").first().click();
    await page.waitForURL(/\/halls\/[^/]+\/pairing$/);
    await page.goto(`/halls/${hall().id}/pairing`);
    await page.locator(`[data-position="${hall().windows[0]}-evaluator"]`).waitFor();
    const shown = await page.locator("[data-position]").count();
    assert.equal(shown, (await ask(page, `/halls/${hall().id}/pairing/positions`)).json.items.length);
    await site.shot(page, "pairing-centre");
    await page.context().close();
    const phone = await site.as(admin(), `/halls/${hall().id}/pairing`, PHONE);
    await phone.locator("[data-position]").first().waitFor();
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the phone");
    await site.shot(phone, "phone-pairing-centre");
    await phone.context().close();
  });

  it("a pairing window is opened at the hall through the centre, counts down, and is closed", { timeout: 90_000 }, async () => {
    const { site } = held;
    const page = await site.as(admin(), `/halls/${hall().id}/pairing/visit`);
    await page.locator("[data-testid=open-visit]").click();
    await page.locator("[data-testid=windows]").waitFor();
    assert.match(await page.locator("[data-testid=countdown]").innerText(), /^(10:00|9:[0-5]\d)$/);
    await page.locator("[data-testid=countdown]").click();
    await page.locator("[data-testid=close-visit]").click();
    await page.locator("[data-testid=close-yes]").click();
    await page.locator("[data-testid=summary]").waitFor();
    assert.equal((await ask(page, `/halls/${hall().id}/pairing/visit`)).status, 404);
    await page.context().close();
  });

  it("a site pass is issued, shown once, and revoked", { timeout: 90_000 }, async () => {
    const { site } = held;
    const page = await site.as(admin(), `/halls/${hall().id}/passes`);
    await page.locator("[data-testid=issue]").click();
    assert.match(await page.locator("[data-testid=pass]").inputValue(), /^hwp1\.[\w-]+\.[\w-]+$/);
    await site.shot(page, "site-pass");
    await page.reload();
    await page.locator("[data-testid=revoke-pass]").first().waitFor();
    assert.equal(await page.locator("[data-testid=pass]").count(), 0);
    await page.locator("[data-testid=revoke-pass]").first().click();
    await page.locator("[data-testid=confirm-yes]").click();
    await page.getByText("已吊销").first().waitFor();
    await page.context().close();
  });

  it("who may not pair sees neither devices nor passes", { timeout: 60_000 }, async () => {
    const { site, region } = held;
    const page = await site.as(region.user((u) => u.role === "supervisor"), `/halls/${hall().id}/pairing`);
    await page.getByText("没有这个页面").waitFor();
    for (const path of [`/halls/${hall().id}/pairing/positions`, `/site-passes?hall=${hall().id}`]) {
      const { status } = await ask(page, path);
      assert.ok(status === 403 || status === 404, `${path}: ${status}`);
    }
    await page.context().close();
  });
}
