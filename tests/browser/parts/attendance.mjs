// HR's first task: who is late, absent or missing a punch; then a correction that somebody else approves, and the sheet.

import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../region.mjs";
import { ask, PHONE } from "../site.mjs";

/** The last weekday before today, in the halls: the day that the region's past has. */
function lastWeekday() {
  const day = new Date(Date.now() + 8 * 3_600_000);
  do day.setUTCDate(day.getUTCDate() - 1); while ([0, 6].includes(day.getUTCDay()));
  return day.toISOString().slice(0, 10);
}

export function attendance(held) {
  it("HR lands on the day, in Chinese and in English", { timeout: 120_000 }, async () => {
    const { site, region } = held;
    const hr = region.user((u) => u.role === "hr");
    const hall = region.ready.halls[0];
    const page = await site.as(hr, "/");
    await page.waitForURL("**/attendance");
    const rows = page.locator("[data-testid=days] tbody tr");
    await until("everybody of every hall", 20_000, async () => (await rows.count()) === region.ready.halls.reduce((sum, h) => sum + h.windows.length, 0));
    assert.equal(await page.locator("h1").first().innerText(), "考勤");
    assert.ok(!(await page.locator("nav").first().innerText()).includes("视频墙"), "HR is shown a wall that is not theirs");
    await page.goto(`/attendance?hall=${hall.id}`);
    await until("somebody has punched in", 60_000, async () => (await page.locator("[data-testid=days] li.on_time, [data-testid=days] li.late").count()) > 0);
    assert.match(await page.locator("[data-testid=sync]").innerText(), /考勤机/);
    assert.match(await page.locator("[data-testid=updated]").innerText(), /更新于 \d\d:\d\d:\d\d/);
    const first = await rows.first().locator("[data-state]").getAttribute("data-state");
    const { json } = await ask(page, `/attendance/days?hall=${hall.id}`);
    assert.ok(json.items.some((row) => row.state === first), "the first row is somebody of the hall");
    await site.shot(page, "attendance-day");
    await page.click("[data-testid=language]");
    await until("English", 10_000, async () => (await page.locator("h1").first().innerText()) === "Attendance");
    assert.match(await page.locator("[data-testid=sync]").innerText(), /Terminal/);
    await site.shot(page, "attendance-day-en");
    await page.click("[data-testid=language]");
    await page.context().close();
    const phone = await site.as(hr, `/attendance?hall=${hall.id}`, PHONE);
    await phone.waitForSelector("[data-testid=days] tbody tr");
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "the day is wider than a phone");
    await site.shot(phone, "attendance-day-phone");
    await phone.context().close();
  });

  it("what HR asks, the hall's manager decides, and the punches stay", { timeout: 120_000 }, async () => {
    const { site, region } = held;
    const manager = region.user((u) => u.role === "hall_manager");
    const hall = region.ready.halls.find((h) => h.id === manager.hall);
    const date = lastWeekday();
    const page = await site.as(region.user((u) => u.role === "hr"), `/attendance?hall=${hall.id}&date=${date}`);
    const late = await until("yesterday's late one", 60_000, async () => {
      const { json } = await ask(page, `/attendance/days?hall=${hall.id}&date=${date}`);
      return json?.items?.find((row) => row.marks[0]?.state === "late");
    });
    await page.goto(`/attendance/people/${hall.id}/${late.employee}?from=${date}&to=${date}`);
    await page.click("[data-testid=correct]");
    await page.fill("[data-testid=request-reason]", "上班时考勤机断电");
    await page.click("[data-testid=request-send]");
    await page.getByText("已提交，等待他人审批").waitFor();
    await page.goto(`/attendance/requests?hall=${hall.id}`);
    await page.locator("[data-testid=requests] li").first().waitFor();
    assert.equal(await page.locator("[data-testid=approve]").count(), 0, "who asked may decide");
    await site.shot(page, "attendance-request");

    const theirs = await site.as(manager, `/attendance/requests?hall=${hall.id}`);
    await theirs.click("[data-testid=evidence]");
    await theirs.waitForSelector("[data-testid=evidence-of]");
    await site.shot(theirs, "attendance-evidence");
    await theirs.click("[data-testid=approve]");
    await until("the request is off the list", 10_000, async () => (await theirs.locator("[data-testid=approve]").count()) === 0);
    await theirs.context().close();

    const { json } = await ask(page, `/attendance/people/${hall.id}/${late.employee}?from=${date}&to=${date}`);
    assert.equal(json.days[0].marks[0].state, "corrected");
    assert.ok(json.punches.some((punch) => punch.at === late.marks[0].at), "the punch is still there");
    await page.context().close();
  });

  it("the month can be seen and taken out", { timeout: 60_000 }, async () => {
    const { site, region } = held;
    const hall = region.ready.halls[0];
    const page = await site.as(region.user((u) => u.role === "hr"), `/attendance/month?hall=${hall.id}`);
    await page.waitForSelector("[data-testid=month] tbody tr");
    assert.equal(await page.locator("[data-testid=month] tbody tr").count(), hall.windows.length);
    assert.match(await page.locator("[data-testid=month] tfoot").innerText(), /合计/);
    await site.shot(page, "attendance-month");
    const files = await page.evaluate(async () => {
      const of = async (id) => {
        const answer = await fetch(document.querySelector(`[data-testid=${id}]`).href);
        return { status: answer.status, bytes: [...new Uint8Array(await answer.arrayBuffer()).slice(0, 3)] };
      };
      return { csv: await of("csv"), xlsx: await of("xlsx") };
    });
    assert.deepEqual(files.csv, { status: 200, bytes: [0xef, 0xbb, 0xbf] });
    assert.deepEqual([files.xlsx.status, ...files.xlsx.bytes.slice(0, 2)], [200, 0x50, 0x4b]);
    for (const [name, path] of [["duty", "duty"], ["staff", "staff"], ["shifts", "shifts"], ["calendar-year", "calendar"]]) {
      await page.goto(`/attendance/${path}?hall=${hall.id}`);
      await page.locator(`[data-testid=${name}]`).first().waitFor();
      await site.shot(page, `attendance-${path}`);
    }
    await page.context().close();
  });
}
