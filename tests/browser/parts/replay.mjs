// What was recorded at a hall, seen again: in a wall's tile, and a case from its call to its rating.

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, liveTiles } from "../site.mjs";
import { printTicket, readyWindow } from "./overlay.mjs";

/** The mark in the picture of the first video below `selector`, and where it is. */
const shown = (page, selector) => page.evaluate((where) => {
  const video = document.querySelector(`${where} video`);
  if (!video || video.videoWidth === 0 || video.readyState < 2) return null;
  const canvas = document.createElement("canvas");
  canvas.width = 320;
  canvas.height = 180;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 320, 180);
  return { mark: window.readMark(context.getImageData(0, 0, 320, 180).data, 320, 180), at: video.currentTime, rate: video.playbackRate };
}, selector);

const recorded = (page, camera, fromMs) => until(`footage of ${camera}`, 60_000, async () => {
  const { status, json } = await ask(page, `/cameras/${camera}/recordings?from=${fromMs}&to=${Date.now()}`);
  return status === 200 && json.runs.length > 0;
});

export function replay(held) {
  const supervisor = () => held.region.user((u) => u.role === "supervisor");

  it("a tile replays its own camera while the wall goes on", { timeout: 120_000 }, async () => {
    const { site, region } = held;
    const page = await site.as(supervisor(), "/wall?node=450102-01&layout=4");
    const [tile] = await liveTiles(site, page, 4, 40_000);
    await recorded(page, tile.camera, Date.now() - 60_000);
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("r");
    const where = `[data-testid=replay][data-camera='${tile.camera}']`;
    const { mark } = region.camera(tile.camera);
    const first = await until("its picture", 30_000, async () => {
      const now = await shown(page, where);
      return now?.mark === mark && now;
    }, async () => JSON.stringify([await shown(page, where), await page.locator(where).innerText()]));
    await until("it plays", 20_000, async () => (await shown(page, where))?.at > first.at + 0.5);
    // The moment shown is the footage's: in the past, and not before what was asked for.
    const { at, from } = await page.locator(where).evaluate((e) => ({ at: Number(e.dataset.at), from: Number(e.dataset.from) }));
    assert.ok(at >= from - 3000 && at < Date.now(), `${new Date(at).toISOString()}`);
    await site.shot(page, "instant-replay");
    await liveTiles(site, page, 4);
    await page.keyboard.press("r");
    await page.locator(where).waitFor({ state: "detached" });
    await page.context().close();
  });

  it("a case is seen again: a click on an event goes there, at every pace, frame by frame", { timeout: 180_000 }, async (t) => {
    const { site, region } = held;
    const windowId = "450103-01-W04";
    const camera = `${windowId}-C1`;
    const page = await site.as(supervisor(), "/cases");
    const window = await readyWindow(region, page, windowId);
    const begun = Date.now();
    await printTicket(region, page, windowId);
    await window.press("call");
    const { case_id: caseId } = await until("the call at the centre", 10_000, async () => {
      const now = await window.stateOf();
      return now.state === "called" && now;
    });
    // Since the call, from a live tile.
    const wall = await site.as(supervisor(), `/wall?node=450103-01&focus=${camera}`);
    await recorded(wall, camera, begun);
    await wall.locator("[data-replay='called']").click();
    const where = `[data-testid=replay][data-camera='${camera}']`;
    const { mark } = region.camera(camera);
    await until("the replay since the call", 30_000, async () => (await shown(wall, where))?.mark === mark, async () => JSON.stringify(await shown(wall, where)));
    await site.shot(wall, "since-called");
    await wall.context().close();

    await window.press("start");
    await window.press("evaluate");
    await region.control("450103-01", "/act", { kind: "rate", window: 4, raw: 4 });
    await until("the case is closed", 20_000, async () => (await ask(page, `/cases/${caseId}`)).json.state === "closed");
    await region.control(window.hall, "/day", { running: true });

    await page.goto(`/cases/${caseId}`);
    await page.click("[data-testid=to-replay]");
    const video = `[data-testid=replay-video][data-camera='${camera}']`;
    await until("its footage", 40_000, async () => (await shown(page, video))?.mark === mark, async () => JSON.stringify([await shown(page, video), await page.locator("[data-testid=case-replay]").innerText()]));
    const replayed = page.locator("[data-testid=case-replay]");
    const at = async () => Number(await replayed.getAttribute("data-at"));
    const { json } = await ask(page, `/cases/${caseId}/timeline`);
    const started = Date.parse(json.events.find((e) => e.kind === "service.started").at);
    await page.click("[data-kind='service.started'] > button");
    await until("the start of the service", 10_000, async () => Math.abs((await at()) - started) < 50);
    assert.equal(Date.parse(new URL(page.url()).searchParams.get("at")), started);
    await until("its picture", 10_000, async () => (await shown(page, video))?.mark === mark);

    await page.click("[data-testid=frame-on]");
    const step = (await at()) - started;
    assert.ok(step > 10 && step < 500, `a frame is ${step} ms`);
    await page.click("[data-testid=frame-back]");
    assert.ok(Math.abs((await at()) - started) < 500);
    await page.click(".controls [data-speed='4']");
    const before = await at();
    await page.click("[data-testid=play]");
    await until("it plays on", 20_000, async () => (await at()) > before + 2000, async () => `${(await at()) - before} ms, ${JSON.stringify(await shown(page, video))}`);
    assert.ok((await shown(page, video)).rate > 3.5, "four times the pace");
    await page.keyboard.press("Space");
    await until("it stands", 5000, async () => (await replayed.getAttribute("data-playing")) === "false");
    const rest = await at();
    await page.reload();
    await until("the same moment after a reload", 40_000, async () => Math.abs((await at()) - rest) < 500 && (await shown(page, video))?.mark === mark);
    assert.equal(await replayed.getAttribute("data-speed"), "4");
    await site.shot(page, "case-replay");
    t.diagnostic(`a frame is ${step} ms; ${json.cameras.length} camera(s), ${json.events.length} events`);
    await page.context().close();
  });
}
