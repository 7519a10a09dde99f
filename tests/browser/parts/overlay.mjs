// What is pressed at a window stands on its tile at once.

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask } from "../site.mjs";

const BOUND_MS = 3000;

/** A window made ready for a call, whatever the scripted day left behind; gives its number, business and staff number. */
export async function readyWindow(region, page, windowId) {
  const hall = windowId.slice(0, 9);
  const number = Number(windowId.slice(11));
  const stateOf = async () => (await ask(page, `/halls/${hall}/windows`)).json.items.find((w) => w.id === windowId);
  await region.control(hall, "/day", { running: false });
  const press = (key, digits = "") => region.control(hall, "/act", { kind: "press", window: number, digits, key });
  const now = await stateOf();
  if (now.state === "paused") await press("pause");
  if (now.state === "closed") {
    const clerk = 1000 + region.ready.halls.findIndex((h) => h.id === hall) * 20 + number;
    await press("function", String(clerk));
  }
  await until(`${windowId} is open`, 10_000, async () => !["closed", "paused"].includes((await stateOf()).state), async () => JSON.stringify(await stateOf()));
  return { hall, number, press, stateOf };
}

let tickets = 900;
/** Prints a ticket of the window's first business and waits until it is known. */
export async function printTicket(region, page, windowId) {
  const hall = windowId.slice(0, 9);
  const [business, prefix] = [["社保", "A"], ["不动产", "B"], ["公安户政", "C"], ["市场监管", "D"]][(Number(windowId.slice(11)) - 1) % 4];
  tickets += 1;
  const ticket = `${prefix}${tickets}`;
  await region.control(hall, "/act", { kind: "ticket", number: ticket, business, waiting: 0 });
  await until(`ticket ${ticket} is known`, 10_000, async () => {
    const { json } = await ask(page, `/cases?hall=${hall}&limit=100`);
    return json.items.some((c) => c.ticket === ticket);
  });
  return ticket;
}

export function overlay(held) {
  it("call, start, evaluate and rate are on the tile within a second", { timeout: 120_000 }, async (t) => {
    const { site, region } = held;
    const windowId = "450103-01-W05";
    const page = await site.as(region.user((u) => u.role === "supervisor"), "/wall?node=450103-01&layout=9");
    const tile = `[data-testid=tile][data-window='${windowId}']`;
    await page.locator(tile).waitFor();
    const window = await readyWindow(region, page, windowId);
    await page.evaluate((selector) => {
      const tile = document.querySelector(selector);
      window.overlay = [];
      let last = "";
      const note = () => {
        const state = /\bst-(\w+)/.exec(tile.className)?.[1];
        const said = { state, ticket: tile.querySelector(".ticket")?.textContent ?? null, code: tile.querySelector(".case")?.textContent ?? "", stars: tile.querySelectorAll("footer .stars").length > 0 ? tile.querySelector("footer .rated").textContent.trim() : null };
        const text = JSON.stringify(said);
        if (text !== last) window.overlay.push({ at: Date.now(), ...said });
        last = text;
      };
      new MutationObserver(note).observe(tile, { subtree: true, childList: true, attributes: true, characterData: true, attributeFilter: ["class"] });
      note();
    }, tile);

    await printTicket(region, page, windowId);
    const delays = [];
    /** Acts, and waits until the overlay has said `wanted` at some time after the act. */
    const step = async (name, act, wanted) => {
      const from = Date.now();
      const record = await act();
      const seen = await until(`${name} on the tile`, BOUND_MS, () => page.evaluate(
        ([since, test]) => window.overlay.find((row) => row.at >= since && new Function("row", `return ${test}`)(row)) ?? null, [from, wanted],
      ), () => page.evaluate(() => JSON.stringify(window.overlay.slice(-3))));
      const delay = seen.at - Date.parse(record.acknowledged ?? record.at);
      delays.push(delay);
      t.diagnostic(`${name}: ${delay} ms after its acknowledgement (${seen.ticket ?? "-"} ${seen.code})`);
      return seen;
    };
    const called = await step("call", () => window.press("call"), "row.state === 'called'");
    assert.match(called.code, /^450103-01-\d{8}-\d{5}-[0-9A-Z]$/);
    const serving = await step("start", () => window.press("start"), "row.state === 'serving'");
    assert.equal(serving.ticket, called.ticket);
    assert.equal(serving.code, called.code);
    await step("evaluate", () => window.press("evaluate"), "row.state === 'rating'");
    // Another grade than the one that stands there; the evaluator sends 04 for grade 5 and 03 for grade 4.
    const before = await page.evaluate(() => window.overlay.at(-1).stars ?? "");
    const [grade, word] = before.includes("非常满意") ? [4, "★满意"] : [5, "★非常满意"];
    await step(`rate ${grade}`, () => region.control(window.hall, "/act", { kind: "rate", window: window.number, raw: grade - 1 }), `row.stars?.endsWith('${word}')`);
    // A rated case is closed 3 s later: until then a second press is known for one.
    await until("the window is idle again", 3000 + BOUND_MS, () => page.evaluate(() => window.overlay.at(-1).state === "idle" && window.overlay.at(-1).ticket === null));
    const closed = (await ask(page, `/cases/${called.code}`)).json;
    assert.equal(closed.state, "closed");
    assert.equal(closed.grade, grade);
    t.diagnostic(`slowest ${Math.max(...delays)} ms (design: 1000)`);
    await region.control(window.hall, "/day", { running: true });
    await page.context().close();
  });
}
