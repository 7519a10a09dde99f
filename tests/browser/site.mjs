// The site in Chromium: browser, people, tiles. Every test asks through here; nothing here asserts.

import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { chromium } from "playwright-core";
import { readMark } from "./mark.mjs";
import { output, until } from "./region.mjs";

export const DESK = { width: 1920, height: 1080 };
export const PHONE = { width: 390, height: 844 };

/** Runs in every page before the site's own scripts: keeps the last watch set, reads tiles' pictures. */
function instruments() {
  window.watched = null;
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (typeof data === "string") {
      try {
        const said = JSON.parse(data);
        if (Array.isArray(said.watch)) window.watched = said.watch;
      } catch {
        // not ours
      }
    }
    return send.call(this, data);
  };
  const W = 320, H = 180;
  const canvas = document.createElement("canvas");
  canvas.width = W;
  canvas.height = H;
  const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
  const kept = new Map();
  /** Every tile: what it says, the mark in its picture, and how many pixels differ from the picture kept before. */
  window.readTiles = (keep) => [...document.querySelectorAll("[data-testid=tile]")].map((tile) => {
    const said = { ...tile.dataset };
    const picture = tile.querySelector(".stage > :first-child");
    if (!picture || (picture instanceof HTMLVideoElement && picture.videoWidth === 0)) return { ...said, mark: null, changed: 0 };
    context.drawImage(picture, 0, 0, W, H);
    const { data } = context.getImageData(0, 0, W, H);
    const before = kept.get(said.camera);
    let changed = 0;
    if (before) {
      for (let y = 0; y < H; y += 1) {
        if (y > H * 0.14 && y < H * 0.32) continue; // the mark
        for (let x = 0; x < W; x += 1) {
          const at = (y * W + x) * 4;
          if (Math.abs(data[at] - before[at]) + Math.abs(data[at + 1] - before[at + 1]) + Math.abs(data[at + 2] - before[at + 2]) > 48) changed += 1;
        }
      }
    }
    if (keep) kept.set(said.camera, data);
    return { ...said, mark: readMark(data, W, H), changed, width: picture.videoWidth || picture.width };
  });
}

export class Site {
  constructor(region, browser) {
    this.region = region;
    this.browser = browser;
    this.signedIn = new Map();
    this.troubles = [];
  }

  static async open(region) {
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
      ],
    });
    return new Site(region, browser);
  }

  async close() {
    await this.browser.close();
  }

  /** A page of nobody. */
  async fresh(viewport = DESK, storageState = undefined) {
    const context = await this.browser.newContext({ viewport, locale: "zh-CN", reducedMotion: "reduce", timezoneId: "Asia/Shanghai", ignoreHTTPSErrors: true, baseURL: this.region.ready.url, storageState });
    await context.addInitScript(`window.readMark = ${readMark}; (${instruments})();`);
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on("pageerror", (error) => this.troubles.push(`${page.url()}: ${error.message}`));
    return page;
  }

  /** A page of this person at `path`; they sign in by typing, once. */
  async as(user, path = "/wall", viewport = DESK) {
    const state = this.signedIn.get(user.name);
    const page = await this.fresh(viewport, state);
    if (state === undefined) {
      await page.goto("/");
      await this.type(page, user.name, user.password);
      await page.waitForURL((url) => url.pathname !== "/" && url.pathname !== "/sign-in");
      this.signedIn.set(user.name, await page.context().storageState());
    }
    await page.goto(path);
    return page;
  }

  async type(page, name, password) {
    await page.fill("input[name=name]", "");
    await page.type("input[name=name]", name);
    await page.type("input[name=password]", password);
    await page.click("button[type=submit]");
  }

  async shot(page, name) {
    await page.screenshot({ path: resolve(output, `${name}.png`) });
  }
}

export const tilesOf = (page, keep = false) => page.evaluate((k) => window.readTiles(k), keep);

/** What tiles say, in one line each, for a failure's message. */
export const told = (tiles) => tiles.map((t) => `${t.camera}:${t.state}/${t.path}/${t.ageMs}ms/mark ${t.mark}`).join(" ");

/** Waits until the wall has `count` tiles, all live, each with its own camera's mark; gives them. */
export async function liveTiles(site, page, count, ms = 30_000, keep = false) {
  let last = [];
  return until(`${count} live tiles with their own marks`, ms, async () => {
    last = await tilesOf(page, keep);
    return last.length === count && last.every((t) => t.state === "live" && t.mark === site.region.camera(t.camera).mark) && last;
  }, () => `: ${told(last)}`);
}

/** A GET in the page, with the person's session: status and JSON. */
export const ask = (page, path) => page.evaluate(async (p) => {
  const answer = await fetch(`/api/v1${p}`);
  const text = await answer.text();
  let json = null;
  try {
    json = JSON.parse(text);
  } catch {
    // not JSON
  }
  return { status: answer.status, json };
}, path);

/** CPU seconds used so far by every process below this one whose name holds `name`. */
export function cpuOf(name) {
  const parents = new Map();
  const stats = new Map();
  for (const pid of readdirSync("/proc").filter((n) => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const rest = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      parents.set(pid, rest[1]);
      stats.set(pid, { name: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")), seconds: (Number(rest[11]) + Number(rest[12])) / 100 });
    } catch {
      // it has just ended
    }
  }
  let seconds = 0;
  for (const [pid, stat] of stats) {
    let at = pid;
    while (at !== undefined && at !== String(process.pid)) at = parents.get(at);
    if (at !== undefined && stat.name.includes(name)) seconds += stat.seconds;
  }
  return seconds;
}

export function percentile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}
