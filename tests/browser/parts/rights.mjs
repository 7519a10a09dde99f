// Nobody sees what is not theirs: not in the tree, not on the wall, not by asking.

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, liveTiles } from "../site.mjs";

export function rights(held) {
  it("a county's supervisor sees only that county", { timeout: 60_000 }, async () => {
    const { site, region } = held;
    const county = region.user((u) => u.role === "supervisor" && u.area.length === 6 && !u.area.endsWith("00"));
    const inside = (id) => id.startsWith(county.area);
    const foreign = region.ready.cameras.find((c) => !inside(c.id) && c.window !== null);
    assert.ok(foreign, "the region has a camera of another county");

    const page = await site.as(county, "/wall?layout=36&kind=all");
    const own = region.ready.cameras.filter((c) => inside(c.id));
    const tiles = await liveTiles(site, page, own.length, 40_000);
    assert.deepEqual(tiles.map((t) => t.camera).sort(), own.map((c) => c.id).sort());
    const nodes = await page.$$eval("[data-node]", (all) => all.map((n) => n.dataset.node));
    assert.ok(nodes.length >= 2 && nodes.every(inside), `tree: ${nodes}`);
    await site.shot(page, "county-wall");

    for (const path of ["/areas", "/halls", "/cameras"]) {
      const { status, json } = await ask(page, path);
      assert.equal(status, 200);
      assert.ok(json.items.length > 0 && json.items.every((item) => inside(item.id)), `${path}: ${json.items.map((i) => i.id)}`);
    }
    for (const path of [`/halls/${foreign.hall}/windows`, `/cameras/${foreign.id}/still.jpg`]) {
      const { status } = await ask(page, path);
      assert.ok(status === 403 || status === 404, `${path}: ${status}`);
    }
    const cases = await ask(page, `/cases?hall=${foreign.hall}`);
    assert.ok(cases.status === 403 || cases.status === 404 || cases.json.items.length === 0, `cases of another hall: ${cases.status}`);
    const events = await ask(page, "/events?limit=200");
    assert.ok(events.status === 403 || events.json.items.every((e) => inside(e.hall)), "events of another county");

    const answer = await page.evaluate((cameras) => new Promise((done, failed) => {
      const socket = new WebSocket(`wss://${location.host}/api/v1/wall`);
      const frames = { own: 0, foreign: 0 };
      let rows = [];
      socket.binaryType = "arraybuffer";
      socket.onopen = () => socket.send(JSON.stringify({ watch: cameras.map((camera, i) => ({ tile: i + 1, camera, tier: "sub" })) }));
      socket.onerror = () => failed(new Error("the wall socket failed"));
      socket.onmessage = ({ data }) => {
        if (typeof data === "string") rows = JSON.parse(data).streams ?? rows;
        else {
          const stream = new DataView(data).getUint32(4, true);
          const tile = rows.find((row) => row.stream === stream)?.tile;
          if (tile === 2) frames.foreign += 1;
          else if (tile === 1) frames.own += 1;
        }
        if (frames.own >= 10) {
          socket.close();
          done({ rows, frames });
        }
      };
    }), [own[0].id, foreign.id]);
    assert.equal(answer.rows.find((row) => row.tile === 2).state, "forbidden");
    assert.equal(answer.rows.find((row) => row.tile === 2).stream, null);
    assert.equal(answer.frames.foreign, 0);
    await page.context().close();
  });

  it("an address of another county's hall shows nothing of it", { timeout: 40_000 }, async () => {
    const { site, region } = held;
    const county = region.user((u) => u.role === "supervisor" && u.area.length === 6 && !u.area.endsWith("00"));
    const foreign = region.ready.halls.find((h) => !h.id.startsWith(county.area));
    const page = await site.as(county, `/wall?node=${foreign.id}`);
    await until("the empty wall says so", 10_000, () => page.getByText("此处没有摄像机").isVisible());
    assert.equal(await page.locator("[data-testid=tile]").count(), 0);
    assert.ok(!(await page.locator("body").innerText()).includes(foreign.name), "the foreign hall's name is shown");
    await site.shot(page, "empty-wall");
    await page.context().close();
  });

  it("nobody sees nothing", { timeout: 20_000 }, async () => {
    const { site } = held;
    const page = await site.fresh();
    await page.goto("/cases?hall=450103-01");
    await page.waitForURL(/sign-in/);
    assert.equal((await ask(page, "/cameras")).status, 401);
    await page.context().close();
  });
}
