// Looks at the hall manager's page against the mock, in both languages and sizes.
//   node dev/look-queue.mjs [address] [folder]

import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const base = process.argv[2] ?? "http://127.0.0.1:8099";
const out = process.argv[3] ?? "/tmp/hallwatch-look";
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"] });
for (const [name, width, height, language] of [["desk", 1920, 1080, "zh-CN"], ["desk-en", 1920, 1080, "en"], ["phone", 390, 844, "zh-CN"]]) {
  const context = await browser.newContext({ viewport: { width, height }, ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && console.log(name, m.type(), m.text()));
  page.on("pageerror", (e) => console.log(name, "pageerror", e.message));
  await page.addInitScript((chosen) => localStorage.setItem("hallwatch.language", chosen), language);
  await page.request.delete(`${base}/api/v1/session`);
  await page.goto(`${base}/sign-in`);
  await page.fill("input[name=name]", "manager");
  await page.fill("input[name=password]", "right");
  await page.click("button[type=submit]");
  await page.waitForSelector("[data-testid=forecast]");
  await page.waitForSelector("figure svg");
  const shot = (what) => page.screenshot({ path: `${out}/queue-${name}-${what}.png`, fullPage: true });
  await shot("now");
  await page.click("[data-testid=what-if]");
  await page.waitForSelector("[data-testid=what-if-now]");
  await page.hover("figure svg");
  await shot("what-if");
  await page.click("[data-testid=as-table]");
  await page.waitForSelector("[data-testid=quarters]");
  await shot("table");
  await page.click("[data-testid=open-limits]");
  await page.waitForSelector("[data-testid=limits]");
  await page.waitForTimeout(400);
  await page.screenshot({ path: `${out}/queue-${name}-limits.png` });
  console.log(name, "wider than the screen by", await page.evaluate(() => document.documentElement.scrollWidth - innerWidth));
  await context.close();
}
await browser.close();
