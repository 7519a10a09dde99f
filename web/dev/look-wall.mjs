// Opens the wall's and the replay's pages against the mock in headless Chromium, in every size they are made for, and
// takes pictures to be looked at.
//   node dev/look-wall.mjs [address] [folder] [desk-zh,phone-en,…]

import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const base = process.argv[2] ?? "http://127.0.0.1:8099";
const out = process.argv[3] ?? "/tmp/hallwatch-look";
const only = process.argv[4]?.split(",");
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
});

for (const [name, width, height, language] of [["desk-zh", 1920, 1080, "zh-CN"], ["wide-zh", 3840, 1080, "zh-CN"], ["phone-zh", 390, 844, "zh-CN"], ["desk-en", 1920, 1080, "en"], ["phone-en", 390, 844, "en"]]) {
  if (only && !only.includes(name)) continue;
  const context = await browser.newContext({ viewport: { width, height }, locale: "zh-CN", ignoreHTTPSErrors: true });
  await context.addInitScript(`localStorage.setItem("hallwatch.language", "${language}")`);
  const page = await context.newPage();
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && console.log(name, m.type(), m.text()));
  page.on("pageerror", (e) => console.log(name, "pageerror", e.message));
  const shot = (what) => page.screenshot({ path: `${out}/${name}-${what}.png` });
  const wide = async (what) => {
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) console.log(name, what, "is", over, "px wider than the screen");
  };
  await page.request.delete(`${base}/api/v1/session`);
  await page.goto(`${base}/sign-in`);
  await page.fill("input[name=name]", "admin");
  await page.fill("input[name=password]", "right");
  await page.click("button[type=submit]");
  await page.waitForURL("**/wall");
  await page.goto(`${base}/wall?layout=16&patrol=10&order=risk`);
  await page.waitForTimeout(9000);
  await shot("patrol");
  await wide("patrol");
  await page.click("[data-testid=patrol]");
  await page.waitForTimeout(300);
  await shot("patrol-panel");
  await page.keyboard.press("Escape");
  await page.click("[data-testid=presets]");
  await page.fill("[name=preset-name]", `早高峰 ${name}`);
  await page.click("form button[type=submit]");
  await page.waitForSelector("[data-preset]");
  await shot("presets");
  await page.keyboard.press("Escape");
  await page.waitForTimeout(12_000);
  await shot("alarms");
  if (name.startsWith("wide")) {
    for (const layout of ["64", "1+5", "36"]) {
      await page.goto(`${base}/wall?layout=${encodeURIComponent(layout)}&kind=all`);
      await page.waitForTimeout(6000);
      await shot(`wall-${layout}`);
    }
  }
  await page.goto(`${base}/wall?layout=4`);
  await page.waitForSelector("[data-testid=tile][data-state=live]");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("r");
  await page.waitForSelector("[data-testid=replay] video");
  await page.waitForTimeout(2500);
  await shot("instant");
  await page.keyboard.press("?");
  await page.waitForSelector("[data-testid=key-help]");
  await shot("keys");
  await page.keyboard.press("Escape");
  await page.click("[data-testid=tile] >> nth=1");
  await page.waitForSelector("[data-testid=focus] [data-replay='30']");
  await page.click("[data-replay='30']");
  await page.waitForTimeout(2500);
  await shot("focus");
  const items = (await (await page.request.get(`${base}/api/v1/cases?hall=450103-01`)).json()).items;
  await page.goto(`${base}/cases/${items.find((c) => c.state === "closed")?.case_id ?? items[0].case_id}/replay`);
  await page.waitForSelector("[data-testid=replay-video] video");
  await page.waitForTimeout(2500);
  await page.click("[data-testid=play]");
  await page.waitForTimeout(2500);
  await shot("replay");
  await wide("replay");
  await page.click("[data-testid=replay-export]");
  await page.waitForTimeout(300);
  await shot("replay-export");
  const away = (await (await page.request.get(`${base}/api/v1/cases?hall=450203-01`)).json()).items;
  await page.goto(`${base}/cases/${away[0].case_id}/replay`);
  await page.waitForSelector("[data-testid=replay-video]");
  await page.waitForTimeout(1000);
  await shot("replay-offline");
  await context.close();
}
await browser.close();
