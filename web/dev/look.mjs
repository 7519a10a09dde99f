// Opens every page of the site against the mock in headless Chromium, takes pictures and prints what the tiles say.
//   node dev/look.mjs [address] [folder]

import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const base = process.argv[2] ?? "http://127.0.0.1:8099";
const out = process.argv[3] ?? "/tmp/hallwatch-look";
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
});

async function tiles(page, label) {
  const rows = await page.$$eval("[data-testid=tile]", (all) => all.map((t) => ({ ...t.dataset })));
  const live = rows.filter((r) => r.state === "live");
  const ages = live.map((r) => Number(r.ageMs)).sort((a, b) => a - b);
  const by = (name) => JSON.stringify(rows.reduce((sum, r) => ({ ...sum, [r[name]]: (sum[r[name]] ?? 0) + 1 }), {}));
  console.log(label, rows.length, "tiles", by("state"), by("path"), "age p50/p95", ages[Math.floor(ages.length / 2)], ages[Math.floor(ages.length * 0.95)], "frames", live.reduce((s, r) => s + Number(r.frames), 0));
}

for (const [name, width, height] of [["desk", 1920, 1080], ["phone", 390, 844]]) {
  const context = await browser.newContext({ viewport: { width, height }, locale: "zh-CN", ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && console.log(name, m.type(), m.text()));
  page.on("pageerror", (e) => console.log(name, "pageerror", e.message));
  const shot = (what) => page.screenshot({ path: `${out}/${name}-${what}.png` });
  await page.request.delete(`${base}/api/v1/session`);
  await page.goto(`${base}/sign-in`);
  await page.waitForSelector("input[name=name]");
  await shot("sign-in");
  await page.fill("input[name=name]", "admin");
  await page.fill("input[name=password]", "wrong");
  await page.click("button[type=submit]");
  await page.waitForSelector("[role=alert]");
  await shot("sign-in-refused");
  await page.fill("input[name=password]", "right");
  await page.click("button[type=submit]");
  await page.waitForURL("**/wall");
  for (const [layout, query] of [["16", ""], ["36", ""], ["36", "&path=mse"], ["64", "&kind=all"], ["4", ""], ["1+5", ""], ["1", ""]]) {
    await page.goto(`${base}/wall?layout=${encodeURIComponent(layout)}${query}`);
    await page.waitForTimeout(12_000);
    const label = `wall-${layout}${query.replace("&", "-")}`;
    await tiles(page, `${name} ${label}`);
    await shot(label);
    if (name === "phone" && layout === "36") break;
  }
  if (name === "phone") {
    await page.click("[data-testid=open-tree]");
    await page.waitForTimeout(500);
    await shot("tree");
  }
  await page.goto(`${base}/wall?node=450103-01-W01&layout=4`);
  await page.waitForTimeout(3000);
  await page.click("[data-testid=tile]");
  await page.waitForSelector("[data-testid=focus]");
  await page.waitForTimeout(6000);
  await tiles(page, `${name} focus`);
  await shot("focus");
  await page.keyboard.press("Escape");
  await page.goto(`${base}/cases`);
  await page.waitForSelector("tbody tr");
  await page.waitForTimeout(600);
  await shot("cases");
  await page.click("tbody tr:nth-child(12)");
  await page.waitForSelector("[data-testid=case] ol");
  await page.waitForTimeout(600);
  await shot("case");
  await page.goto(`${base}/nodes`);
  await page.waitForSelector("tbody tr");
  await page.click("[data-testid=pair]");
  await page.waitForTimeout(700);
  await page.click(".el-select");
  await page.click(".el-select-dropdown__item >> nth=1");
  await page.click(".el-dialog__footer button");
  await page.waitForSelector("[data-testid=pairing-code]");
  await shot("nodes-pair");
  await page.goto(`${base}/password`);
  await page.waitForSelector("input");
  await shot("password");
  await context.close();
}
await browser.close();
