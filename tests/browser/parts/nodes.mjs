// The machines at the halls: seen, paired, revoked, let out of quarantine; each only after a question.

import assert from "node:assert/strict";
import { it } from "node:test";
import { PHONE } from "../site.mjs";

export function nodes(held) {
  const admin = () => held.region.user((u) => u.role === "administrator");

  it("every hall's machine is online; a pairing code can be had", { timeout: 60_000 }, async () => {
    const { site, region } = held;
    const page = await site.as(admin(), "/nodes");
    await page.locator("[data-testid=nodes] tbody tr").first().waitFor();
    const rows = await page.$$eval("[data-testid=nodes] tbody tr", (all) => all.map((row) => row.innerText));
    assert.equal(rows.length, region.ready.halls.length);
    for (const row of rows) assert.match(row, /在线/);
    await site.shot(page, "nodes");
    await page.click("[data-testid=pair]");
    await page.click(".el-dialog .el-select");
    await page.locator(".el-select-dropdown__item:visible").nth(1).click();
    await page.locator(".el-dialog__footer:visible button").first().click();
    assert.match(await page.locator("[data-testid=pairing-code] .huge").innerText(), /^[0-9A-Z]{4}(-?[0-9A-Z]{4}){3,}$/);
    await page.context().close();
    const phone = await site.as(admin(), "/nodes", PHONE);
    await phone.locator("[data-testid=nodes] tbody tr").first().waitFor();
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the phone");
    await site.shot(phone, "phone-nodes");
    await phone.context().close();
  });

  it("revoking and lifting a quarantine ask first", { timeout: 60_000 }, async () => {
    const { site } = held;
    const page = await site.as(admin(), "/cases");
    const posted = [];
    // The region keeps its nodes: answers are the centre's, with one node put into quarantine here, and orders are only noted.
    await page.route(/\/api\/v1\/nodes(\?|$)/, async (route) => {
      const answer = await route.fetch();
      const list = await answer.json();
      list.items[1].quarantined = "two_machines";
      list.items[1].alarm = "two machines use this node's certificate";
      await route.fulfill({ response: answer, json: list });
    });
    await page.route(/\/api\/v1\/nodes\/[^/]+\/(revoke|lift-quarantine)$/, async (route) => {
      posted.push(`${route.request().method()} ${new URL(route.request().url()).pathname}`);
      await route.fulfill({ status: 204, body: "" });
    });
    await page.goto("/nodes");
    const row = page.locator("[data-testid=nodes] tbody tr").nth(1);
    const id = await row.locator("td").first().innerText();
    assert.equal(await page.locator("[data-testid=lift]").count(), 1);
    await row.locator("[data-testid=lift]").click();
    await page.locator("[data-testid=confirm]").waitFor();
    await site.shot(page, "nodes-confirm");
    await page.locator("[data-testid=confirm-no]").click();
    await page.locator("[data-testid=confirm]").waitFor({ state: "hidden" });
    assert.deepEqual(posted, []);
    await row.locator("[data-testid=lift]").click();
    await page.locator("[data-testid=confirm-yes]").click();
    await page.locator("[data-testid=confirm]").waitFor({ state: "hidden" });
    await row.locator("[data-testid=revoke]").click();
    await page.locator("[data-testid=confirm-yes]").click();
    await page.locator("[data-testid=confirm]").waitFor({ state: "hidden" });
    assert.deepEqual(posted, [`POST /api/v1/nodes/${id}/lift-quarantine`, `POST /api/v1/nodes/${id}/revoke`]);
    await page.context().close();
  });

  it("a supervisor has no nodes page", { timeout: 30_000 }, async () => {
    const { site, region } = held;
    const page = await site.as(region.user((u) => u.role === "supervisor"), "/nodes");
    await page.getByText("没有这个页面").waitFor();
    await page.context().close();
  });
}
