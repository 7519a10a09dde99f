// Opens the supervisor's pages against the mock in headless Chromium and takes pictures.
//   node dev/look-supervision.mjs [address] [folder] [path …]

import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const base = process.argv[2] ?? "http://127.0.0.1:8099";
const out = process.argv[3] ?? "/tmp/hallwatch-look";
const paths = process.argv.length > 4 ? process.argv.slice(4) : ["/overview", "/overview?area=450100", "/overview?area=450103-01"];
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"] });
for (const [name, width, height] of [["desk", 1920, 1080], ["phone", 390, 844]]) {
  const context = await browser.newContext({ viewport: { width, height }, locale: "zh-CN", ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && console.log(name, m.type(), m.text()));
  page.on("pageerror", (e) => console.log(name, "pageerror", e.message));
  await page.request.delete(`${base}/api/v1/session`);
  await page.goto(`${base}/sign-in`);
  await page.fill("input[name=name]", "supervisor");
  await page.fill("input[name=password]", "right");
  await page.click("button[type=submit]");
  await page.waitForURL((url) => url.pathname !== "/sign-in");
  for (const path of paths) {
    await page.goto(`${base}${path}`);
    await page.waitForLoadState("networkidle");
    await page.waitForTimeout(500);
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) console.log(name, path, "is wider than the screen");
    await page.screenshot({ path: `${out}/${name}${path.replace(/[^a-z0-9-]+/gi, "_")}.png` });
  }
  await context.close();
}
await browser.close();
