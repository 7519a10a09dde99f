// Pairing an evaluator whose protocol nobody knows, at the hall on a phone, with the centre stopped: its keys are pressed in the asked
// order, what was heard becomes a profile of the hall, and the evaluator bound by it rates.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { HALL, Hall } from "./hall.mjs";
import { Phone } from "./phone.mjs";
import { pause, until } from "./region.mjs";

const PLACE = `${HALL}-W07-evaluator`;
/** A person's pace; presses closer than this are one. */
const PACE_MS = 700;

describe("pairing an unknown evaluator at the hall", { concurrency: 1 }, () => {
  let hall = null;
  let phone = null;

  before(async () => {
    hall = await Hall.start({ spares: true });
    phone = await Phone.open(hall, "sniff");
  }, { timeout: 300_000 });

  after(async () => {
    await phone?.close();
    await hall?.stop();
  });

  it("listens on its line alone", { timeout: 60_000 }, async () => {
    const { page } = phone;
    await phone.begin();
    await page.locator("[data-source=unknown]").click();
    await page.locator(`[data-port="${hall.sim.spares.unknown}"]`).click();
    await phone.at("search").click();
    await phone.at("start-sniff").waitFor();
    await phone.shot("01-quiet");
  });

  it("asks for each key and hears it", { timeout: 120_000 }, async () => {
    const { page } = phone;
    await phone.at("start-sniff").click();
    for (const grade of [5, 4, 3, 2, 1]) {
      await page.locator(`[data-testid=keys] .now[data-grade="${grade}"]`).waitFor();
      for (let n = 1; n <= 3; n += 1) {
        await hall.press({ device: "unknown", grade });
        await page.locator(`[data-testid=keys] [data-grade="${grade}"][data-presses="${n}"]`).waitFor();
        await pause(PACE_MS);
      }
      if (grade === 4) await phone.shot("02-pressing");
    }
    await phone.at("heard-all").waitFor();
    await phone.shot("03-heard");
  });

  it("proposes a frame and says what it is sure of", { timeout: 60_000 }, async () => {
    const { page } = phone;
    await page.fill("[name=profile-name]", "evaluator-no-name");
    await page.fill("[name=profile-title]", "无名五键评价器");
    await phone.at("propose").click();
    await phone.at("draft").waitFor();
    const found = await page.locator("[data-finding]").evaluateAll((all) => all.map((one) => one.dataset.finding));
    for (const code of ["fixed_length", "checksum", "key_byte", "changing"]) assert.ok(found.includes(code), `${code} is not among ${found}`);
    await phone.shot("04-proposed");
    await phone.at("keep").click();
    await phone.at("target").waitFor();
    const path = `${hall.data}/edge/profiles/evaluator-no-name.toml`;
    assert.ok(existsSync(path) && readFileSync(path, "utf8").includes("evaluator-no-name"), "the profile is not in the hall's folder");
  });

  it("is bound with the map that was pressed, and is in service at once", { timeout: 60_000 }, async () => {
    assert.match(await phone.at("target").innerText(), /7号窗口 · 评价器/);
    await phone.shot("05-bind");
    await phone.at("bind").click();
    await phone.at("confirmed").waitFor();
    const place = (await phone.ask(`positions/${PLACE}`)).json;
    assert.equal(place.connection.profile, "evaluator-no-name");
    assert.equal(place.grades.confirmed_by, "li");
    assert.deepEqual(Object.values(place.grades.map).sort(), [1, 2, 3, 4, 5]);
    await until("its driver", 20_000, async () => (await phone.ask(`positions/${PLACE}`)).json.health.state === "online");
  });

  it("reads what is pressed from now on", { timeout: 60_000 }, async () => {
    await phone.page.getByText("重新测试").click();
    await phone.at("prompt").waitFor();
    await hall.press({ device: "unknown", grade: 5 });
    await pause(PACE_MS);
    await hall.press({ device: "unknown", grade: 1 });
    await until("the two presses", 20_000, async () => {
      const test = (await phone.ask("visit")).json.tests.at(-1);
      return test.heard.map((h) => h.grade).join() === "5,1";
    });
    await phone.shot("06-test");
  });

  it("goes on with its profile after the agent was started anew", { timeout: 90_000 }, async () => {
    await hall.edge.stop();
    hall.startEdge();
    await until("the agent", 60_000, async () => /hallwatch_device_up\{position="450103-01-W07-evaluator",state="up"\} 1/.test(await hall.metrics().catch(() => "")));
  });

  it("no page met an error of its own", () => assert.deepEqual(phone.troubles, []));
});
