// Opens attendance's pages against the mock and takes pictures.
//   node dev/look-attendance.mjs [address] [folder]

import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const base = process.argv[2] ?? "http://127.0.0.1:8099";
const out = process.argv[3] ?? "/tmp/hallwatch-look";
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu"] });
for (const [name, width, height] of [["desk", 1920, 1080], ["phone", 390, 844]]) {
  const context = await browser.newContext({ viewport: { width, height }, locale: "zh-CN", timezoneId: "Asia/Shanghai" });
  const page = await context.newPage();
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && console.log(name, m.type(), m.text()));
  page.on("pageerror", (e) => console.log(name, "pageerror", e.message));
  await page.request.delete(`${base}/api/v1/session`);
  await page.goto(`${base}/sign-in`);
  await page.fill("input[name=name]", "hr");
  await page.fill("input[name=password]", "right");
  await page.click("button[type=submit]");
  await page.waitForURL("**/attendance");
  const hall = "450103-01";
  for (const [what, path] of [["days", `?hall=${hall}`], ["all", ""], ["month", `/month?hall=${hall}`], ["requests", `/requests?hall=${hall}`], ["duty", `/duty?hall=${hall}`], ["staff", `/staff?hall=${hall}`], ["shifts", `/shifts?hall=${hall}`], ["calendar", "/calendar"], ["person", `/people/${hall}/1001?hall=${hall}`]]) {
    await page.goto(`${base}/attendance${path}`);
    await page.waitForTimeout(1200);
    if (what === "requests") {
      await page.click("[data-testid=evidence] >> nth=0");
      await page.waitForTimeout(500);
    }
    if (await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)) console.log(name, what, "is wider than the screen");
    await page.screenshot({ path: `${out}/${name}-att-${what}.png` });
    if (what === "shifts") {
      await page.click("[data-testid=add-shift]");
      await page.waitForTimeout(700);
      await page.screenshot({ path: `${out}/${name}-att-shift-form.png` });
    }
  }
  await context.close();
}
await browser.close();
