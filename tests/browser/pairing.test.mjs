// Pairing at the hall in real Chromium on a phone's screen, with the centre stopped: from the site pass to the signed sheet,
// whose text and looks are checked by programs that did not write it. Then replacing, undoing, importing; then the call-out screen.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { chromium } from "playwright-core";
import { HALL, HALL_NAME, Hall } from "./hall.mjs";
import { output, until } from "./region.mjs";

const PHONE = { width: 390, height: 844 };
const EVALUATOR = `${HALL}-W07-evaluator`;

describe("pairing at the hall", { concurrency: 1 }, () => {
  const held = { hall: null, browser: null, context: null, page: null, pass: null, expired: null };
  const troubles = [];
  const at = (id) => held.page.locator(`[data-testid=${id}]`);
  const shot = async (name) => {
    const { page } = held;
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than the phone`);
    await page.screenshot({ path: resolve(output, `pairing-${name}.png`) });
  };
  /** In the page, with its session: status and JSON. */
  const ask = (path) => held.page.evaluate(async (p) => {
    const answer = await fetch(`/api/v1/pairing/${p}`);
    return { status: answer.status, json: await answer.json().catch(() => null) };
  }, path);

  before(async () => {
    held.hall = await Hall.start();
    held.pass = await held.hall.pass();
    await held.hall.centre.stop();
    held.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
    });
    held.context = await held.browser.newContext({ viewport: PHONE, isMobile: true, hasTouch: true, locale: "zh-CN", timezoneId: "Asia/Shanghai", reducedMotion: "reduce", ignoreHTTPSErrors: true, baseURL: held.hall.url });
    held.page = await held.context.newPage();
    held.page.setDefaultTimeout(15_000);
    held.page.on("pageerror", (error) => troubles.push(`${held.page.url()}: ${error.message}`));
  }, { timeout: 200_000 });

  after(async () => {
    await held.browser?.close();
    await held.hall?.stop();
  });

  it("shows nothing without a pass, and says what is wrong with a bad one", { timeout: 60_000 }, async () => {
    const { page } = held;
    await page.goto("/");
    await page.locator("[name=pass]").waitFor();
    assert.equal((await ask("positions")).status, 401);
    await page.fill("[name=pass]", "something else");
    await at("enter").click();
    await page.getByText("这不是通行证").waitFor();
    const [head, body, signature] = held.pass.split(".");
    const forged = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(body, "base64url").toString()), technician: "mallory" })).toString("base64url");
    await page.fill("[name=pass]", `${head}.${forged}.${signature}`);
    await at("enter").click();
    await page.getByText("通行证签名不对").waitFor();
    await shot("01-pass");
  });

  it("takes a pass out of the link's fragment and shows the hall, with the centre away", { timeout: 60_000 }, async () => {
    const { page } = held;
    await page.goto(`/?again#pass=${held.pass}`);
    await at("summary").waitFor();
    assert.ok(!page.url().includes("hwp1"), "the pass stays in the address");
    await page.getByText(HALL_NAME).waitFor();
    await page.getByText("与中心的连接中断").waitFor();
    await shot("02-hall");
  });

  it("opens the pairing window from the window's code, and counts down", { timeout: 60_000 }, async () => {
    const { page } = held;
    await page.goto(`/?code#/w/${HALL}-W07`);
    await at("open").click();
    await shot("03-open");
    await at("open-visit").click();
    await at("add").waitFor();
    assert.match(await at("countdown").innerText(), /^(10:00|9:5\d)$/);
    assert.equal((await ask("visit")).json.window, `${HALL}-W07`);
    await shot("04-window");
  });

  it("finds the evaluator by its key, with the searched range shown", { timeout: 60_000 }, async () => {
    const { page, hall } = held;
    await at("add").click();
    await page.locator("[data-source=bus]").click();
    await page.locator(`[data-port="${hall.sim.buses[0]}"]`).click();
    await at("search").click();
    await page.locator("[data-search][data-state=listening]").waitFor();
    await page.getByText("地址 0-255").waitFor();
    await hall.act({ kind: "rate", window: 7, raw: 4 });
    const candidate = page.locator("[data-testid=candidates] [data-kind$=evaluator]");
    await candidate.waitFor();
    await page.getByText("地址 7").waitFor();
    await shot("05-found");
    await candidate.click();
  });

  it("identifies it: it is told to light up, and its key is seen", { timeout: 60_000 }, async () => {
    const { page, hall } = held;
    await page.locator("[data-how=evaluate]").click();
    await at("sent").waitFor();
    await hall.act({ kind: "rate", window: 7, raw: 3 });
    await page.getByText("收到这台设备的按键").waitFor();
    await shot("06-identify");
    await at("yes").click();
  });

  it("binds it to window 7", { timeout: 60_000 }, async () => {
    const { page } = held;
    await at("target").waitFor();
    assert.match(await at("target").innerText(), /7号窗口 · 评价器/);
    await shot("07-bind");
    await at("bind").click();
    await at("start-test").waitFor();
    const { json } = await ask(`positions/${EVALUATOR}`);
    assert.equal(json.health.state === "unconfirmed" || json.grades?.confirmed_at == null, true, "in service before its keys are confirmed");
    await shot("08-test");
  });

  it("learns the five keys as they are pressed, and confirms them", { timeout: 90_000 }, async () => {
    const { page, hall } = held;
    await at("start-test").click();
    await at("prompt").waitFor();
    for (const [raw, grade] of [[4, 5], [3, 4], [2, 3], [1, 2], [0, 1]]) {
      await hall.act({ kind: "rate", window: 7, raw });
      await page.locator(`[data-testid=tiles] [data-grade="${grade}"][data-raw="0${raw}"]`).waitFor();
      if (raw === 2) await shot("09-test-half");
    }
    await page.getByText("五个键都已收到").waitFor();
    const { json } = await ask("visit");
    assert.match(json.tests.at(-1).case_id, /^450103-01-\d{8}-99\d{3}-[0-9A-Z]$/);
    await shot("10-test-all");
    await at("confirm-keys").click();
    await at("confirmed").waitFor();
    const place = (await ask(`positions/${EVALUATOR}`)).json;
    assert.deepEqual(place.grades.map, { "00": 1, "01": 2, "02": 3, "03": 4, "04": 5 });
    assert.equal(place.grades.confirmed_by, "li");
    await shot("11-confirmed");
  });

  it("accepts the five points with a photo", { timeout: 90_000 }, async () => {
    const { page } = held;
    await at("accept").click();
    for (const point of ["quantity", "place", "picture", "display", "link"]) {
      const card = page.locator(`[data-point=${point}]`);
      await card.locator(`button[data-result=${point === "picture" ? "not_applicable" : "pass"}]`).click();
      await page.locator(`[data-point=${point}]:not([data-result=""])`).waitFor();
    }
    await page.fill("[name=note-place]", "装在台面右侧，牢固");
    await page.locator("[name=note-place]").blur();
    await until("the note at the hall", 10_000, async () => (await ask("visit")).json.points.place.note === "装在台面右侧，牢固");
    // A picture larger than what is sent, as a phone's camera gives it.
    const photo = resolve(output, "pairing-photo.jpg");
    execFileSync("ffmpeg", ["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=4000x3000:rate=1", "-frames:v", "1", photo]);
    await page.setInputFiles("[name=photo-place]", photo);
    const img = page.locator("[data-point=place] img");
    await img.waitFor();
    await until("the photo", 15_000, () => img.evaluate((i) => i.complete && i.naturalWidth > 0));
    assert.deepEqual(await img.evaluate((i) => [i.naturalWidth, i.naturalHeight]), [1600, 1200]);
    await img.scrollIntoViewIfNeeded();
    await shot("12-accept");
    await at("to-sign").click();
  });

  it("is signed; the sheet is a PDF that says what was done", { timeout: 90_000 }, async () => {
    const { page } = held;
    await page.fill("[name=name]", "李工");
    await page.fill("[name=hall_name]", "王主任");
    await shot("13-sign");
    await at("sign").click();
    await at("signed").waitFor();
    await shot("14-signed");
    const href = await at("sheet").getAttribute("href");
    const pdf = Buffer.from(await page.evaluate(async (path) => {
      const answer = await fetch(path);
      if (!answer.ok || answer.headers.get("content-type") !== "application/pdf") throw new Error(`${answer.status} ${answer.headers.get("content-type")}`);
      return [...new Uint8Array(await answer.arrayBuffer())];
    }, href));
    const path = resolve(output, "pairing-sheet.pdf");
    writeFileSync(path, pdf);
    const text = execFileSync("pdftotext", ["-layout", path, "-"], { encoding: "utf8" });
    for (const words of [HALL_NAME, "李工", "王主任", "数量", "点位", "图像", "界面", "链路", "装在台面右侧，牢固", HALL]) assert.ok(text.includes(words), `the sheet does not say ${words}:\n${text}`);
    assert.match(text, /评价器/);
    execFileSync("pdftoppm", ["-png", "-r", "80", path, resolve(output, "pairing-sheet")]);
    assert.ok(["pairing-sheet-1.png", "pairing-sheet-01.png"].some((name) => existsSync(resolve(output, name)) && readFileSync(resolve(output, name)).length > 5_000), "the sheet has no page");
    const record = (await ask(`visits/${href.split("/").at(-2)}`)).json;
    assert.equal(record.chain, "whole");
    assert.equal(record.closed.why, "signed");
  });

  it("back works, and so does a page that is loaded anew", { timeout: 60_000 }, async () => {
    const { page } = held;
    await page.goto("/?x#/");
    await page.locator(`[data-position="${EVALUATOR}"]`).waitFor();
    await page.locator(`[data-position="${EVALUATOR}"]`).click();
    await page.getByText("按键含义").waitFor();
    await shot("15-place");
    await page.goBack();
    await at("summary").waitFor();
    await page.goForward();
    await page.reload();
    await page.getByText("按键含义").waitFor();
  });

  it("has the windows' codes to print: links to this hall's own page", { timeout: 60_000 }, async () => {
    const { page, hall } = held;
    await page.goto("/?codes#/codes");
    const codes = page.locator("[data-testid=codes] figure");
    await codes.first().waitFor();
    assert.deepEqual(await codes.evaluateAll((all) => all.map((one) => one.dataset.link)), [1, 2, 7].map((n) => `${hall.url}/#/w/${HALL}-W0${n}`));
    await shot("15-codes");
  });

  it("asks what happened when the place is taken, and can be undone", { timeout: 90_000 }, async () => {
    const { page, hall } = held;
    await page.goto(`/?x2#/w/${HALL}-W07`);
    await at("open").click();
    await at("open-visit").click();
    await at("add").click();
    await page.locator("[data-source=stated]").click();
    await page.selectOption("[name=kind]", "bus_evaluator");
    await page.fill("[name=port]", hall.sim.buses[0]);
    await page.fill("[name=bus-address]", "2");
    await at("search").click();
    await at("yes").click();
    await at("bind").click();
    await page.locator("[data-choice=replaced]").click();
    await shot("16-replace");
    await at("bind").click();
    await at("start-test").waitFor();
    const history = (await ask(`positions/${EVALUATOR}`)).json.history;
    assert.equal(history.length, 2);
    assert.ok(history.some((h) => h.to !== null));
    await page.goto("/?x3#/undo");
    await page.locator("[data-undo] [data-testid=undo]").first().click();
    await shot("17-undo");
    await at("undo-yes").click();
    await page.getByText("已撤销").first().waitFor();
    const again = (await ask(`positions/${EVALUATOR}`)).json;
    assert.equal(again.connection.address, 7);
    assert.equal(again.grades.confirmed_by, "li");
  });

  it("imports a table after a dry run that says every row's fate", { timeout: 60_000 }, async () => {
    const { page, hall } = held;
    const row = (window, role, address) => `${window},${role},${hall.sim.buses[0]},9600,${address}`;
    const table = (...rows) => ({ name: "devices.csv", mimeType: "text/csv", buffer: Buffer.from(`\ufeff窗口,角色,端口,波特率,地址\n${rows.join("\n")}\n`) });
    await page.goto("/?x4#/import");
    await page.setInputFiles("[name=table]", table(row(1, "keypad", 1), row(99, "keypad", 9)));
    await page.locator("[data-fate=refuse]").waitFor();
    await page.getByText("没有 99 号窗口").waitFor();
    assert.equal(await at("apply").count(), 0);
    await shot("18-import");
    await page.setInputFiles("[name=table]", table(row(1, "keypad", 1), row(1, "evaluator", 1)));
    await page.getByText("导入 2 行").waitFor();
    assert.equal((await ask(`positions/${HALL}-W01-keypad`)).status, 404, "a dry run changed something");
    await at("apply").click();
    await at("applied").waitFor();
    assert.equal((await ask(`positions/${HALL}-W01-keypad`)).json.source, "import");
  });

  it("calls are shown and spoken on the call-out screen", { timeout: 90_000 }, async () => {
    const { browser, hall } = held;
    const context = await browser.newContext({ viewport: { width: 1920, height: 1080 }, locale: "zh-CN", timezoneId: "Asia/Shanghai", reducedMotion: "reduce", ignoreHTTPSErrors: true, baseURL: hall.url });
    const page = await context.newPage();
    page.on("pageerror", (error) => troubles.push(`callout: ${error.message}`));
    const clips = new Set();
    page.on("request", (request) => /\.ogg$/.test(request.url()) && clips.add(request.url()));
    const elsewhere = [];
    page.on("request", (request) => request.url().startsWith(hall.url) || request.url().startsWith("blob:") || elsewhere.push(request.url()));
    await page.goto("/callout");
    await page.getByText("等待叫号").waitFor();
    await page.locator("[data-link=up]").waitFor();
    // Window 1 has its keypad from the import; a ticket that nobody printed here is called by its number.
    await hall.act({ kind: "press", window: 1, digits: "7", key: "call" });
    const call = page.locator("[data-testid=now][data-window='1']");
    await call.waitFor({ timeout: 15_000 });
    const number = await call.getAttribute("data-number");
    assert.ok(number.endsWith("7"), number);
    await until("the voice", 15_000, async () => (await call.getAttribute("data-speaking")) !== "");
    await page.screenshot({ path: resolve(output, "pairing-callout.png") });
    await until("the end of the call", 30_000, async () => (await call.getAttribute("data-speaking")) === "");
    assert.ok(clips.size >= 10, `only ${clips.size} clips were loaded`);
    assert.deepEqual(elsewhere, []);
    await context.close();
  });

  it("a hall that cannot be reached is said, and what is shown turns grey", { timeout: 60_000 }, async () => {
    const { page, hall } = held;
    await page.goto("/?x5#/");
    await page.locator("[data-position]").first().waitFor();
    await hall.edge.stop();
    await at("lost").waitFor();
    await page.locator(".stale [data-position]").first().waitFor();
    await shot("19-lost");
  });

  it("no page met an error of its own", () => assert.deepEqual(troubles, []));
});
