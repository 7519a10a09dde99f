// A technician's first task, in Chinese and in English, on a phone: what is wrong in my halls, and what do I bring?

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, PHONE } from "../site.mjs";

const HALL = "450102-01";
const CAMERA = `${HALL}-W04-C1`;
const WORDS = {
  "zh-CN": { title: "检修", down: "摄像机离线", spare: "摄像机", language: "zh-CN" },
  en: { title: "Maintenance", down: "Camera offline", spare: "Camera", language: "en" },
};

export function work(held) {
  const technician = () => held.region.user((u) => u.role === "technician");

  for (const [language, words] of Object.entries(WORDS)) {
    it(`a technician comes to what is wrong after signing in (${language})`, { timeout: 240_000 }, async () => {
      const { site, region } = held;
      const page = await site.fresh(PHONE);
      await page.goto("/");
      await page.locator("input[name=name]").waitFor({ timeout: 60_000 });
      if (language === "en") await page.evaluate(() => localStorage.setItem("hallwatch.language", "en"));
      await page.goto("/");
      await site.type(page, technician().name, technician().password);
      await page.waitForURL("**/work", { timeout: 60_000 });
      await page.getByRole("heading", { level: 1, name: words.title }).waitFor({ timeout: 60_000 });
      // Every hall of theirs is there, with what stands in it.
      const rows = page.locator("[data-testid=work-halls] li");
      await until("a row for every hall", 60_000, async () => (await rows.count()) === region.ready.halls.length, () => rows.count());
      assert.ok(await page.locator("[data-testid=updated]").isVisible());

      // A camera is lost: it is on the list by itself, with its hall and window, and the spare is said.
      await region.control(HALL, "/faults", { camera: region.device(CAMERA), fault: "drop", seconds: 600 });
      const row = page.locator(`[data-problem=camera_down][data-device='${CAMERA}']`);
      await row.waitFor({ timeout: 90_000 });
      assert.ok((await row.innerText()).includes(words.down), await row.innerText());
      await page.locator("[data-spare=camera]").waitFor({ timeout: 30_000 });
      assert.ok((await page.locator("[data-spare=camera]").innerText()).includes(words.spare));
      await site.shot(page, `work-phone-${words.language}`);

      // By urgency and by hall, kept in the address.
      await page.locator("button[data-urgency='2']").click();
      await page.waitForURL("**/work?*urgency=2*");
      assert.ok(await row.isVisible());
      await page.locator("select[name=hall]").selectOption(HALL);
      await page.waitForURL(`**/work?*hall=${HALL}*`);
      await until("only that hall's troubles", 60_000, async () => {
        const devices = await page.locator("[data-testid=troubles] [data-device]").evaluateAll((all) => all.map((one) => one.dataset.device));
        return devices.length > 0 && devices.every((device) => device.startsWith(HALL) || device === `hall-${HALL}`);
      });

      // It is over by itself.
      await region.control(HALL, "/faults", { camera: region.device(CAMERA), fault: "none" });
      await until("the camera is back and off the list", 120_000, async () => (await row.count()) === 0);
      // From the hall to its pairing pages.
      await page.locator(`[data-hall='${HALL}'] .links a`).first().click();
      await page.waitForURL(`**/halls/${HALL}/pairing`, { timeout: 60_000 });
      await page.context().close();
    });
  }

  it("nobody else has the page, nor its figures", { timeout: 120_000 }, async () => {
    const { site, region } = held;
    const page = await site.as(region.user((u) => u.role === "supervisor"), "/work");
    await until("the page is not theirs", 30_000, async () => !(await page.locator("[data-testid=work]").isVisible()));
    assert.equal((await ask(page, "/maintenance")).status, 403);
  });
}
