// Pairing a camera at the hall on a phone, with the centre stopped: found on a stated network, signed in to, seen by a still, bound,
// its streams judged, recorded, accepted; and mirrored once the centre is back.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CAMERA, HALL, Hall } from "./hall.mjs";
import { Phone } from "./phone.mjs";
import { until } from "./region.mjs";

const PLACE = `${HALL}-W07-C1`;

describe("pairing a camera at the hall", { concurrency: 1 }, () => {
  let hall = null;
  let phone = null;

  before(async () => {
    hall = await Hall.start({ spares: true });
    phone = await Phone.open(hall, "camera");
  }, { timeout: 300_000 });

  after(async () => {
    await phone?.close();
    await hall?.stop();
  });

  it("finds it on the stated network, and says what was searched", { timeout: 90_000 }, async () => {
    const { page } = phone;
    await phone.begin();
    await page.locator("[data-source=camera]").click();
    await page.fill("[name=addresses]", "127.0.0.1");
    await phone.at("ports").click();
    await page.fill("[name=http-ports]", String(hall.sim.spares.onvif));
    await page.fill("[name=rtsp-port]", new URL(`rtsp://${hall.sim.rtsp}`).port);
    await phone.at("search").click();
    await page.locator("[data-search][data-state=done]").waitFor({ timeout: 40_000 });
    await page.getByText(`ONVIF 端口 ${hall.sim.spares.onvif}`).waitFor();
    const candidate = page.locator("[data-testid=candidates] [data-kind=camera]");
    assert.equal(await candidate.count(), 1, "one address is one camera");
    assert.match(await candidate.innerText(), /127\.0\.0\.1/);
    await phone.shot("01-found");
    await candidate.click();
  });

  it("signs in with a secret that is typed once; a wrong one is said", { timeout: 90_000 }, async () => {
    const { page } = phone;
    assert.ok(await phone.at("yes").isDisabled(), "nobody can say yes to a camera that nobody has seen");
    await page.fill("[name=user]", CAMERA.user);
    for (const [name, secret] of [["wrong", "not-the-password"], ["cameras", CAMERA.password]]) {
      await phone.at("new-credential").click();
      await page.fill("[name=credential-name]", name);
      await page.fill("[name=credential-secret]", secret);
      await phone.at("keep-credential").click();
      await until(`the credential ${name}`, 10_000, async () => (await page.locator("[name=credential]").inputValue()) === name);
      await phone.at("read-streams").click();
      if (name === "wrong") {
        await page.getByText("摄像机拒绝此用户名或密码").waitFor();
        await phone.shot("02-refused");
      }
    }
    // A camera on a loaded machine may not answer in time; then it is asked again, as a person would.
    await until("the streams", 90_000, async () => {
      if (await phone.at("streams").isVisible()) return true;
      const again = phone.at("sign-in").locator("[role=alert] button");
      if (await again.isVisible()) await again.click();
      return false;
    });
    const options = await page.locator("[name=main-stream] option").allInnerTexts();
    assert.ok(options.some((text) => /1920×1080 · H\.264/.test(text)), options.join("; "));
    const { json } = await phone.ask("visit");
    assert.ok(!JSON.stringify(json).includes(CAMERA.password), "the visit shows the password");
    await phone.shot("03-streams");
  });

  it("is seen: a still of now stands on the phone", { timeout: 90_000 }, async () => {
    const { page } = phone;
    await page.locator("[data-how=still]").click();
    const still = phone.at("still");
    await still.waitFor({ timeout: 40_000 });
    await until("the picture", 15_000, () => still.evaluate((img) => img.complete && img.naturalWidth > 0));
    assert.deepEqual(await still.evaluate((img) => [img.naturalWidth, img.naturalHeight]), [1280, 720]);
    await phone.shot("04-still");
    await phone.at("yes").click();
  });

  it("is bound to window 7 as its first camera, and runs", { timeout: 90_000 }, async () => {
    await phone.at("target").waitFor();
    assert.match(await phone.at("target").innerText(), /7号窗口 · 摄像机 C1/);
    await phone.shot("05-bind");
    await phone.at("bind").click();
    await phone.at("start-test").waitFor();
    await until("the camera's picture", 40_000, async () => (await phone.ask(`positions/${PLACE}`)).json?.health?.state === "online");
    await until("its recording", 60_000, async () => {
      const figures = await hall.metrics();
      return new RegExp(`recording_camera\\{camera="${PLACE}"[^}]*\\} 1`).test(figures) && /recording_frames_total [1-9]/.test(figures);
    });
  });

  it("is tested: both streams are played and judged in words", { timeout: 120_000 }, async () => {
    const { page } = phone;
    await phone.at("start-test").click();
    await phone.at("playing").waitFor();
    await phone.shot("06-playing");
    await page.locator("[data-stream=main]").waitFor({ timeout: 90_000 });
    await page.locator("[data-stream=sub]").waitFor();
    // What it tells of itself is another size: the audit says what is true.
    assert.match(await page.locator("[data-stream=main]").innerText(), /1280×720/);
    const verdicts = await page.locator("[data-stream]").evaluateAll((all) => all.map((one) => one.dataset.verdict));
    assert.ok(verdicts.every((v) => ["good", "usable"].includes(v)), verdicts.join(" "));
    await phone.shot("07-judged");
  });

  it("is accepted; the sheet has its picture and what its streams are", { timeout: 90_000 }, async () => {
    await phone.at("accept").click();
    const text = await phone.accept();
    for (const words of ["摄像机", PLACE, "主码流", "辅码流", "1280×720", "摄像机画面"]) assert.ok(text.includes(words), `the sheet does not say ${words}:\n${text}`);
    const { json } = await phone.ask("visits");
    assert.equal((await phone.ask(`visits/${json.items[0].id}`)).json.chain, "whole");
  });

  it("stands at the centre once it is back, live, and its password stands nowhere", { timeout: 120_000 }, async () => {
    await hall.restartCentre();
    await until("the camera at the centre", 60_000, async () => {
      const { items } = await hall.api("GET", "/cameras").catch(() => ({ items: [] }));
      return items.some((camera) => camera.id === PLACE && camera.state === "live" && camera.window === `${HALL}-W07`);
    });
    assert.ok(!hall.log().includes(CAMERA.password), "the agent's log has the password");
  });

  it("no page met an error of its own", () => assert.deepEqual(phone.troubles, []));
});
