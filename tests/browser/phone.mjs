// A technician's phone: Chromium at 390x844 with a site pass, on the hall's own page, with the centre stopped. What the tests of
// pairing share.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { chromium } from "playwright-core";
import { HALL } from "./hall.mjs";
import { output } from "./region.mjs";

export const PHONE = { width: 390, height: 844 };
const ARGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"];

export class Phone {
  /** Opens the hall's page with a pass, and then stops the centre. `prefix` begins the names of its pictures. */
  static async open(hall, prefix) {
    const phone = new Phone();
    Object.assign(phone, { hall, prefix, troubles: [] });
    const pass = await hall.pass();
    await hall.centre.stop();
    phone.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS });
    phone.context = await phone.browser.newContext({ viewport: PHONE, isMobile: true, hasTouch: true, locale: "zh-CN", timezoneId: "Asia/Shanghai", reducedMotion: "reduce", ignoreHTTPSErrors: true, baseURL: hall.url });
    phone.page = await phone.context.newPage();
    phone.page.setDefaultTimeout(20_000);
    phone.page.on("pageerror", (error) => phone.troubles.push(`${phone.page.url()}: ${error.message}`));
    await phone.page.goto(`/?in#pass=${pass}`);
    await phone.at("summary").waitFor();
    return phone;
  }

  at(id) {
    return this.page.locator(`[data-testid=${id}]`);
  }

  /** A picture for people; fails where the page is wider than the phone. */
  async shot(name) {
    assert.ok(await this.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than the phone`);
    await this.page.screenshot({ path: resolve(output, `${this.prefix}-${name}.png`), fullPage: true });
  }

  /** In the page, with its session: status and JSON. */
  ask(path) {
    return this.page.evaluate(async (p) => {
      const answer = await fetch(`/api/v1/pairing/${p}`);
      return { status: answer.status, json: await answer.json().catch(() => null) };
    }, path);
  }

  /** Opens the pairing window at window 7 and goes to the search. */
  async begin() {
    await this.page.goto(`/?code#/w/${HALL}-W07`);
    await this.at("open").click();
    await this.at("open-visit").click();
    await this.at("add").click();
  }

  /** Accepts all five points and signs; gives the sheet's text. */
  async accept() {
    const { page } = this;
    for (const point of ["quantity", "place", "picture", "display", "link"]) {
      await page.locator(`[data-point=${point}] button[data-result=pass]`).click();
      await page.locator(`[data-point=${point}][data-result=pass]`).waitFor();
    }
    await this.at("to-sign").click();
    await page.fill("[name=name]", "李工");
    await this.at("sign").click();
    await this.at("signed").waitFor();
    const href = await this.at("sheet").getAttribute("href");
    const pdf = Buffer.from(await page.evaluate(async (path) => [...new Uint8Array(await (await fetch(path)).arrayBuffer())], href));
    const path = resolve(output, `${this.prefix}-sheet.pdf`);
    writeFileSync(path, pdf);
    execFileSync("pdftoppm", ["-png", "-r", "80", path, resolve(output, `${this.prefix}-sheet`)]);
    const drawn = [`${this.prefix}-sheet-1.png`, `${this.prefix}-sheet-01.png`].map((name) => resolve(output, name));
    assert.ok(drawn.some((name) => existsSync(name) && readFileSync(name).length > 5_000), "the sheet has no page");
    return execFileSync("pdftotext", ["-layout", path, "-"], { encoding: "utf8" });
  }

  async close() {
    await this.browser?.close();
  }
}
