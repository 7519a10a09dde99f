// The site in real Chromium against one real region: simulated halls, edge agents, control centre, nothing between.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Region } from "./region.mjs";
import { Site } from "./site.mjs";
import { attendance } from "./parts/attendance.mjs";
import { everypage } from "./parts/everypage.mjs";
import { faults } from "./parts/faults.mjs";
import { focus } from "./parts/focus.mjs";
import { nodes } from "./parts/nodes.mjs";
import { overlay } from "./parts/overlay.mjs";
import { pages } from "./parts/pages.mjs";
import { pairing } from "./parts/pairing.mjs";
import { paths } from "./parts/paths.mjs";
import { patrol } from "./parts/patrol.mjs";
import { queue } from "./parts/queue.mjs";
import { replay } from "./parts/replay.mjs";
import { rights } from "./parts/rights.mjs";
import { supervisor } from "./parts/supervisor.mjs";
import { wall } from "./parts/wall.mjs";
import { work } from "./parts/work.mjs";

const only = process.env.PARTS?.split(",");

describe("the site", { concurrency: 1 }, () => {
  const held = { region: null, site: null };

  before(async () => {
    const begun = Date.now();
    held.region = await Region.start();
    held.site = await Site.open(held.region);
    console.log(`the region was ready after ${((Date.now() - begun) / 1000).toFixed(0)} s`);
  }, { timeout: 320_000 });

  after(async () => {
    await held.site?.close();
    await held.region?.stop();
  });

  for (const [name, part] of Object.entries({ pages, wall, rights, overlay, focus, faults, nodes, pairing, patrol, replay, queue, work, attendance, supervisor, everypage, paths })) {
    if (!only || only.includes(name)) describe(name, { concurrency: 1 }, () => part(held));
  }

  it("no page met an error of its own", () => assert.deepEqual(held.site.troubles, []));

  it("the region ends within 15 s of SIGINT", async (t) => {
    await held.site.close();
    t.diagnostic(`ended after ${await held.region.stop()} ms`);
    if (held.region.child !== null) assert.deepEqual(held.region.child.ended, { code: 0, signal: null });
  });
});
