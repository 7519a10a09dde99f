// Opens the administrator's pages and one's own account against the mock in headless Chromium, takes pictures and prints what
// the browser refused (the content policy among it).
//   node dev/look-admin.mjs [address] [folder]

import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const base = process.argv[2] ?? "http://127.0.0.1:8099";
const out = process.argv[3] ?? "/tmp/hallwatch-look";
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
for (const [name, width, height] of [["desk", 1920, 1080], ["phone", 390, 844]]) {
  const context = await browser.newContext({ viewport: { width, height }, locale: "zh-CN", ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && console.log(name, m.type(), m.text()));
  page.on("pageerror", (e) => console.log(name, "pageerror", e.message));
  const shot = (what) => page.screenshot({ path: `${out}/${name}-${what}.png` });
  await page.request.delete(`${base}/api/v1/session`);
  await page.goto(`${base}/sign-in`);
  await page.fill("input[name=name]", process.env.NAME_IN ?? "admin");
  await page.fill("input[name=password]", process.env.PASSWORD_IN ?? "right");
  await page.click("button[type=submit]");
  await page.waitForURL("**/wall");
  for (const [path, wait] of [["admin/tree?hall=450103-01", "[data-testid=windows] tbody tr"], ["admin/users", "[data-testid=users] tbody tr"], ["admin/sessions", "[data-testid=sessions] tbody tr"], ["admin/retention", "[data-testid=retention] tbody tr"], ["admin/authority", "[data-testid=holdings] tbody tr"], ["admin/audit", "[data-testid=audit] tbody tr"], ["password", "[data-testid=second-factor]"]]) {
    await page.goto(`${base}/${path}`);
    await page.waitForSelector(wait);
    await page.waitForTimeout(600);
    await shot(path.replace(/[/?].*$/, "") + "-" + path.replace(/^[^/]*\/?|\?.*$/g, ""));
  }
  await page.goto(`${base}/admin/users`);
  await page.click("[data-testid=add-user]");
  await page.waitForTimeout(500);
  await page.click("[data-testid=save]");
  await shot("users-add");
  await page.keyboard.press("Escape");
  await page.goto(`${base}/admin/tree?hall=450103-01`);
  await page.click("[data-testid=add-window]");
  await page.waitForTimeout(500);
  await shot("tree-add-window");
  await page.goto(`${base}/password`);
  await page.fill("input[name=second-password]", "x");
  await page.click("[data-testid=second-factor] button");
  await page.waitForTimeout(500);
  await shot("second-factor");
  await page.goto(`${base}/admin/audit`);
  await page.click("[data-testid=language]");
  await page.waitForTimeout(500);
  await shot("audit-en");
  await context.close();
}
await browser.close();
