// One hall with nothing paired yet, as real processes: a centre that issues the site pass and is then stopped, the hall's
// simulated devices, and the edge agent. Knows processes and files, not the pages.

import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { output, until } from "./region.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const data = resolve(root, "target/browser-hall");
const PASSWORD = "a-password-of-this-test-alone";
export const HALL = "450103-01";
export const HALL_NAME = "青秀区政务服务中心";
const WINDOWS = [1, 2, 7];
/** Who the spare camera lets in. */
export const CAMERA = { user: "technician", password: "gua&ng-xi-2026" };

function program(name) {
  const path = resolve(process.env.HALLWATCH_BIN ?? resolve(root, "target/debug"), name);
  if (!existsSync(path)) throw new Error(`${path} is not built: cargo build --workspace --bins`);
  return path;
}

/** A program with its output in a file; it ends with this process. `input` is its standard input. */
class Program {
  constructor(name, args, input = null) {
    this.name = name;
    this.log = resolve(output, `pairing-${name}${args[0] === "run" ? "" : `-${args[0].replace(/^-+/, "")}`}.log`);
    const log = openSync(this.log, "w");
    this.child = spawn("setpriv", ["--pdeathsig", "KILL", "--", program(name), ...args], { cwd: root, stdio: [input === null ? "ignore" : "pipe", log, log] });
    closeSync(log);
    if (input !== null) this.child.stdin.end(input);
    this.ended = new Promise((done) => this.child.on("exit", (code, signal) => done((this.over = { code, signal }))));
  }

  check() {
    if (this.over) throw new Error(`${this.name} ended (${JSON.stringify(this.over)}); see ${this.log}`);
  }

  async done() {
    const { code } = await this.ended;
    if (code !== 0) throw new Error(`${this.name} failed (${code}); see ${this.log}: ${readFileSync(this.log, "utf8").slice(-800)}`);
  }

  async stop() {
    if (this.over) return;
    this.child.kill("SIGTERM");
    try {
      await until(`${this.name}'s end`, 15_000, () => this.over);
    } catch (error) {
      this.child.kill("SIGKILL");
      throw error;
    }
  }
}

const json = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null);
const toml = (value) => (Array.isArray(value) ? `[${value.map(toml).join(", ")}]` : typeof value === "object" ? `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)} = ${toml(v)}`).join(", ")}}` : JSON.stringify(value));
/** Tables and lists of tables as TOML. */
const file = (tables) => Object.entries(tables).map(([name, value]) => {
  const body = (table) => Object.entries(table).map(([k, v]) => `${k} = ${toml(v)}\n`).join("");
  if (Array.isArray(value)) return value.map((table) => `[[${name}]]\n${body(table)}`).join("\n");
  return typeof value === "object" ? `[${name}]\n${body(value)}` : `${name} = ${toml(value)}\n`;
}).join("\n");

export class Hall {
  /** `spares`: there are devices to be paired beside those of the windows: an unknown evaluator, a camera, a terminal. */
  static async start({ spares = false } = {}) {
    mkdirSync(output, { recursive: true });
    rmSync(data, { recursive: true, force: true });
    mkdirSync(data, { recursive: true });
    const hall = new Hall();
    hall.spares = spares;
    try {
      await hall.begin();
      return hall;
    } catch (error) {
      await hall.stop().catch(() => undefined);
      throw error;
    }
  }

  async begin() {
    const at = (name) => resolve(data, name);
    writeFileSync(at("import.toml"), file({
      area: [{ id: "450103", name: "青秀区", level: "county" }],
      hall: [{ id: HALL, name: HALL_NAME, area: "450103" }],
      window: WINDOWS.map((number) => ({ hall: HALL, number, name: `${number}号窗口`, businesses: ["社保"] })),
      user: [{ name: "li", password: PASSWORD, role: "administrator", scope: "450103", must_change: false }],
    }));
    const addresses = await this.startCentre("127.0.0.1:0", "127.0.0.1:0");
    writeFileSync(at("simulated-hall.toml"), file({
      hall: HALL, name: HALL_NAME, run: at("run"), footage: at("footage"), day: false, zone: "Asia/Shanghai",
      business: [{ name: "社保", prefix: "A", first: 1 }], clerk: [{ number: "1001", name: "李老师" }],
      window: WINDOWS.map((number) => ({ number, name: `${number}号窗口`, businesses: ["社保"], clerk: "1001", bus: 0, keypad: number })),
      ...(this.spares ? { spares: { camera: { id: "spare", path: "X01", mark: 907, label: "NEW", ...CAMERA } } } : {}),
    }));
    this.devices = new Program("simulated-hall", ["--config", at("simulated-hall.toml")]);
    this.sim = await until("the simulated hall", 120_000, () => (this.devices.check(), json(at("run/simulated-hall.json"))));
    writeFileSync(at("edge-agent.toml"), file({
      hall: { id: HALL, name: HALL_NAME, time_zone: "Asia/Shanghai", data: at("edge") }, centre: { url: addresses.nodes },
      local_site: { listen: "127.0.0.1:0" }, hall_site: { listen: "127.0.0.1:0", names: ["127.0.0.1"] }, pairing: { ports: [...this.sim.buses, ...(this.spares ? [this.sim.spares.bus, this.sim.spares.unknown] : [])], addresses: ["127.0.0.1"] },
      business: [{ name: "社保", prefix: "A" }],
      window: WINDOWS.map((number) => ({ number, name: `${number}号窗口`, businesses: ["社保"] })),
    }));
    mkdirSync(at("edge"), { recursive: true });
    this.cookie = null;
    await this.api("POST", "/session", { name: "li", password: PASSWORD });
    const { code } = await this.api("POST", `/halls/${HALL}/pairing-codes`, {});
    await new Program("edge-agent", ["enrol", "--config", at("edge-agent.toml"), "--pin", addresses.pin], code).done();
    this.startEdge();
    const door = await until("the hall's page", 60_000, () => (this.edge.check(), json(at("edge/hall-site.json"))));
    this.url = door.url;
  }

  startEdge() {
    rmSync(resolve(data, "edge/local-site.json"), { force: true });
    this.edge = new Program("edge-agent", ["run", "--config", resolve(data, "edge-agent.toml")]);
  }

  get data() {
    return data;
  }

  async startCentre(listen, nodes) {
    const at = (name) => resolve(data, name);
    rmSync(at("centre/addresses.json"), { force: true });
    this.centre = new Program("control-center", ["run", "--data", at("centre"), "--listen", listen, "--nodes-listen", nodes, "--import", at("import.toml")]);
    const addresses = await until("the centre", 60_000, () => (this.centre.check(), json(at("centre/addresses.json"))));
    this.site = addresses.site;
    this.addresses = addresses;
    return addresses;
  }

  /** Starts the centre again where it was. */
  async restartCentre() {
    const authority = (url) => new URL(url).host;
    await this.startCentre(authority(this.addresses.site), authority(this.addresses.nodes));
  }

  /** A key of a device that is still to be paired is pressed. */
  async press(what) {
    const answer = await fetch(`http://${this.sim.control}/spares`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(what), signal: AbortSignal.timeout(20_000) });
    if (!answer.ok) throw new Error(`${JSON.stringify(what)}: ${answer.status} ${await answer.text()}`);
  }

  /** The agent's own figures, as text. */
  async metrics() {
    const { address } = json(resolve(data, "edge/local-site.json"));
    return (await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(10_000) })).text();
  }

  /** What the agent has logged. */
  log() {
    return readFileSync(this.edge.log, "utf8");
  }

  /** Asks the centre as its administrator. */
  api(method, path, body) {
    return new Promise((done, fail) => {
      const url = new URL(`/api/v1${path}`, this.site);
      const ask = request(url, {
        method, ca: readFileSync(resolve(data, "centre/ca/ca.pem")), timeout: 20_000,
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...(this.cookie ? { cookie: this.cookie } : {}) },
      }, (answer) => {
        const chunks = [];
        answer.on("data", (chunk) => chunks.push(chunk));
        answer.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          if (answer.statusCode >= 300) return fail(new Error(`${method} ${path}: ${answer.statusCode} ${text}`));
          if (answer.headers["set-cookie"]) this.cookie = answer.headers["set-cookie"][0].split(";")[0];
          done(text === "" ? null : JSON.parse(text));
        });
      });
      ask.on("error", fail).on("timeout", () => ask.destroy(new Error(`${method} ${path}: no answer`)));
      ask.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** A pass for this hall. */
  async pass(hours = 4) {
    return (await this.api("POST", "/site-passes", { hall: HALL, technician: "li", hours })).pass;
  }

  /** Something is done at a device by hand; resolves once the device was answered. */
  async act(action) {
    const answer = await fetch(`http://${this.sim.control}/act`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(action), signal: AbortSignal.timeout(20_000) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${JSON.stringify(action)}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  async stop() {
    for (const one of [this.edge, this.devices, this.centre]) await one?.stop();
  }
}
