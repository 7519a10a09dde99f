// Every page of the site: no serious finding of axe (WCAG 2.2 A and AA), a picture of it at the sizes people have, and how
// long until it is of use, printed. Nothing is asserted of time.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, DESK, PHONE } from "../site.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const BIG = { width: 3840, height: 1080 };
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Role, name of the picture, path, and what says that the page is of use. */
const PAGES = [
  [null, "sign-in", "/sign-in", "input[name=name]"],
  ["supervisor", "overview", "/overview", "[data-testid=overview] .figures"],
  ["supervisor", "wall", "/wall?layout=16", "[data-testid=tile]"],
  ["supervisor", "cases", "/cases", "[data-testid=cases] tbody tr"],
  ["supervisor", "case", "/cases/{case}", "[data-testid=case] ol"],
  ["supervisor", "replay", "/cases/{called}/replay", "main section, main .replay, main video"],
  ["supervisor", "official-numbers", "/official-numbers", "[data-testid=numbers] form"],
  ["supervisor", "ratings", "/ratings", "[data-testid=ratings] .figures"],
  ["supervisor", "compare", "/compare", "[data-testid=compare] .said"],
  ["supervisor", "reports", "/reports?by=hall", "[data-testid=report] .figures"],
  ["hall_manager", "queue", "/queue", "[data-testid=forecast]"],
  ["hr", "attendance", "/attendance", "[data-testid=days] tbody tr"],
  ["technician", "work", "/work", "[data-testid=work-halls]"],
  ["administrator", "places", "/admin/tree", "[data-testid=places]"],
  ["administrator", "users", "/admin/users", "[data-testid=users] tbody tr"],
  ["administrator", "sessions", "/admin/sessions", "[data-testid=sessions]"],
  ["administrator", "retention", "/admin/retention", "[data-testid=retention]"],
  ["administrator", "audit", "/admin/audit", "[data-testid=audit]"],
  ["administrator", "nodes", "/nodes", "[data-testid=nodes] tbody tr"],
  ["administrator", "webhooks", "/webhooks", "[data-testid=webhooks] .page-head"],
  ["administrator", "passes", "/halls/{hall}/passes", ".page form"],
  ["technician", "pairing", "/halls/{hall}/pairing", "main"],
  ["supervisor", "password", "/password", "input"],
  ["supervisor", "lost", "/no/such/page", ".lost"],
];

/** What axe finds serious or critical, in a line each. */
async function serious(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] }), TAGS);
  return found.violations
    .filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => `${v.id} (${v.impact}): ${v.nodes.slice(0, 4).map((n) => n.target.join(" ")).join(" | ")}${v.nodes.length > 4 ? ` and ${v.nodes.length - 4} more` : ""}`);
}

export function everypage(held) {
  const path = async (page, text) => {
    if (!text.includes("{")) return text;
    const cases = await until("a case that was called", 90_000, async () => (await ask(page, "/cases?limit=50")).json.items?.find((c) => c.called_at));
    return text.replace("{case}", cases.case_id).replace("{called}", cases.case_id);
  };

  for (const [role, name, address, useful] of PAGES) {
    it(`${name}: read by everybody, pictured at every size`, { timeout: 300_000 }, async (t) => {
      const { site, region } = held;
      const sizes = name === "wall" ? [["desk", DESK], ["phone", PHONE], ["big", BIG]] : [["desk", DESK], ["phone", PHONE]];
      for (const [size, viewport] of sizes) {
        const user = role === null ? null : region.user((u) => u.role === role);
        const page = user === null ? await site.fresh(viewport) : await site.as(user, "/password", viewport);
        const to = address.includes("{hall}") ? address.replace("{hall}", region.ready.halls[0].id) : await path(page, address);
        const begun = Date.now();
        await page.goto(to);
        await page.locator(useful).first().waitFor({ timeout: 60_000 });
        t.diagnostic(`${name} ${size}: of use after ${Date.now() - begun} ms`);
        await page.waitForLoadState("networkidle", { timeout: 3_000 }).catch(() => undefined);
        await site.shot(page, `every-${name}-${size}`);
        if (size !== "big") {
          // The whole of it at once, so that nothing lies beneath a bar that stays.
          const hidden = await page.evaluate(() =>
            Math.max(...[...document.querySelectorAll("*")].filter((e) => e === document.documentElement || /auto|scroll/.test(getComputedStyle(e).overflowY)).map((e) => e.scrollHeight - e.clientHeight)));
          await page.setViewportSize({ width: viewport.width, height: viewport.height + hidden });
          for (const theme of ["as it comes", "the other theme"]) {
            if (theme !== "as it comes") {
              const turn = page.locator("[data-testid=theme]");
              if ((await turn.count()) === 0) continue;
              await turn.click();
            }
            assert.deepEqual(await serious(page), [], `${name} ${size}, ${theme}`);
          }
        }
        await page.context().close();
      }
    });
  }
}
