// Starts one region for all tests, the way `scripts/demo` does, and ends it. Knows processes and files, not the site.
// With HALLWATCH_READY=path/to/ready.json a region that runs already is used and left alone.

import { spawn } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
/** Where pictures and logs for people go. */
export const output = resolve(root, "tests/output/browser");
/** Footage is encoded at the first start on a machine. */
const START_MS = 300_000;

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until `ask` gives something other than null, undefined or false; fails with the last thing `describe` says. */
export async function until(what, ms, ask, describe = () => "") {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms ${await describe()}`);
    await pause(100);
  }
}

/** A running region: what `ready.json` says, the halls' control interfaces, and how to end it. */
export class Region {
  constructor(ready, child) {
    this.ready = ready;
    this.child = child;
  }

  /** `windows` of each of the four halls; `recording`: whether they keep footage; `data`: the folder's name below target/; `most`: ms until it must be ready. */
  static async start({ windows = 9, data: name = "browser", most = START_MS, recording = true } = {}) {
    mkdirSync(output, { recursive: true });
    if (process.env.HALLWATCH_READY) {
      return new Region(JSON.parse(readFileSync(process.env.HALLWATCH_READY, "utf8")), null);
    }
    const programs = process.env.HALLWATCH_BIN ?? resolve(root, "target/debug");
    const data = resolve(root, "target", name);
    const demo = resolve(programs, "demo");
    if (!existsSync(demo)) throw new Error(`${demo} is not built: cargo build --workspace --bins`);
    const log = createWriteStream(resolve(output, "demo.log"));
    const child = spawn(demo, ["--fresh", "--data", data, "--listen", "127.0.0.1:0", "--hall-site", "127.0.0.1:0", "--halls", "4", "--windows", String(windows), "--history-days", "1", ...(recording ? [] : ["--no-recording"])], {
      cwd: root, stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    child.on("exit", (code, signal) => {
      child.ended = { code, signal };
      log.end();
    });
    const path = resolve(data, "ready.json");
    try {
      // An old file is removed by the demo before it does anything else, so what is found later is this run's.
      await until("the demo's own start", 10_000, () => existsSync(resolve(data, "centre")) || child.ended !== undefined);
      const ready = await until("ready.json", most, () => {
        if (child.ended) throw new Error(`the demo ended (${JSON.stringify(child.ended)}); see ${output}/demo.log`);
        return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
      }, () => `; see ${output}/demo.log and the logs below ${data}`);
      return new Region(ready, child);
    } catch (error) {
      if (!child.ended) child.kill("SIGINT");
      throw error;
    }
  }

  /** Ends everything as Ctrl-C does; says how many ms it took. */
  async stop() {
    if (this.child === null || this.child.ended) return 0;
    const begun = Date.now();
    this.child.kill("SIGINT");
    try {
      await until("the region's end", 15_000, () => this.child.ended);
    } catch (error) {
      this.child.kill("SIGKILL");
      throw error;
    }
    return Date.now() - begun;
  }

  /** The first user for whom `who` holds. */
  user(who) {
    const user = this.ready.users.find(who);
    if (!user) throw new Error("no such user in ready.json");
    return user;
  }

  camera(id) {
    return this.ready.cameras.find((camera) => camera.id === id);
  }

  /** The name that a camera has at its simulated hall: the first part of its RTSP path. */
  device(id) {
    return new URL(this.camera(id).rtsp).pathname.split("/")[1];
  }

  /** Asks a hall's control interface; `body` makes it a POST. */
  async control(hall, path, body) {
    const { control } = this.ready.halls.find((h) => h.id === hall);
    const answer = await fetch(`${control}${path}`, {
      ...(body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path} ${JSON.stringify(body)}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }
}
