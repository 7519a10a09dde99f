// What things are called on the pairing pages: positions, windows, devices, where a device is. Pure; words come from `t`.

import type { Candidate, Connection, HallWindow } from "./model";

type Say = (key: string, params?: Record<string, unknown>) => string;
type Has = (key: string) => boolean;

const WINDOW_ROLES = ["keypad", "evaluator"];
const EITHER_ROLES = ["display", "voice", "sensor"];
/** With what letter the names of a role's places without a window begin. */
const LETTERS: Record<string, string> = { attendance: "A", ticket: "T", printer: "P", modem: "M", display: "D", voice: "V", sensor: "S" };

/** Whether a device of this role may stand at a window and in the hall at large. */
export function atEither(role: string): boolean {
  return EITHER_ROLES.includes(role);
}

/** Whether a device of this role stands at a window; others belong to the hall at large. */
export function atWindow(role: string): boolean {
  return WINDOW_ROLES.includes(role);
}

export function windowLabel(window: HallWindow, t: Say): string {
  return window.name.includes(String(window.number)) ? window.name : t("pair.window.numbered", { n: window.number, name: window.name });
}

export function roleName(role: string, t: Say, te: Has): string {
  const key = `pair.role.${role}`;
  return te(key) ? t(key) : role;
}

/** What stands at a position: a camera's ends in its number, others in their role. */
export function roleAt(position: string): string {
  return /-W\d+-C\d+$|^[^-]+-[^-]+-S\d+$/.test(position) ? "camera" : position.slice(position.lastIndexOf("-") + 1);
}

/** `7号窗口 · 评价器`, `7号窗口 · 摄像机 C1`, `T01 · 取号机`. */
export function positionLabel(id: string, windows: HallWindow[], t: Say, te: Has): string {
  if (roleAt(id) === "camera") {
    const [number, before] = [id.slice(id.lastIndexOf("-") + 1), id.slice(0, id.lastIndexOf("-"))];
    const window = windows.find((w) => w.id === before);
    return `${window ? windowLabel(window, t) : t("pair.window.hall")} · ${roleName("camera", t, te)} ${number}`;
  }
  const role = id.slice(id.lastIndexOf("-") + 1);
  const place = id.slice(0, id.lastIndexOf("-"));
  const window = windows.find((w) => w.id === place);
  const where = window ? windowLabel(window, t) : (place.split("-")[2] ?? place);
  return `${where} · ${roleName(role, t, te)}`;
}

/** The position a device of this role takes at this place. `name` is needed without a window: `T01`. */
export function positionId(hall: string, window: string | null, name: string, role: string): string | null {
  if (role === "camera") return (window ? /^C[1-9][0-9]?$/ : /^S(0[1-9]|[1-9][0-9])$/).test(name) ? `${window ?? hall}-${name}` : null;
  if (atWindow(role)) return window ? `${window}-${role}` : null;
  if (atEither(role) && window) return `${window}-${role}`;
  return /^[A-Z][0-9]{2}$/.test(name) ? `${hall}-${name}-${role}` : null;
}

/** The last part of a device file, which is what is told apart: `usb-1a86_USB_Serial-if00-port0`. */
export function portName(port: string): string {
  return port.slice(port.lastIndexOf("/") + 1);
}

/** Where a device is, in a line: `usb-1a86… · 9600 · 地址 7`. */
export function whereabouts(connection: Connection | null, t: Say): string {
  if (!connection) return "";
  const parts: string[] = [];
  if (typeof connection["port"] === "string") parts.push(portName(connection["port"]));
  if (typeof connection["baud"] === "number") parts.push(String(connection["baud"]));
  const address = connection["address"];
  if (typeof address === "number") parts.push(t("pair.address_n", { n: address }));
  else if (typeof address === "string") parts.push(address);
  const line = connection["line"] as Record<string, unknown> | undefined;
  for (const name of ["port", "baud", "address", "listen"]) {
    const value = line?.[name];
    if (value !== undefined && value !== null) parts.push(name === "port" ? portName(String(value)) : String(value));
  }
  if (typeof connection["profile"] === "string") parts.push(connection["profile"]);
  if (typeof connection["main"] === "string") parts.push(connection["main"].replace(/^rtsp:\/\//, "").replace(/\/$/, ""));
  return parts.join(" · ");
}

/** Which searched range, in a line. What is not known here is shown by its own name, never hidden. */
export function rangeText(range: Record<string, unknown>, t: Say, te: Has): string {
  return Object.entries(range)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => {
      const shown = name === "port" ? portName(String(value)) : Array.isArray(value) ? value.join("、") : String(value);
      const key = `pair.range.${name}`;
      return te(key) ? t(key, { v: shown }) : `${name} ${shown}`;
    })
    .join(" · ");
}

export function kindName(candidate: Pick<Candidate, "kind">, t: Say, te: Has): string {
  return roleName(candidate.kind.replace(/^bus_/, "").replace(/^zk$/, "attendance").replace(/^printer_tap$/, "ticket"), t, te);
}

/** The role a candidate can take. */
export function roleOf(candidate: Pick<Candidate, "kind">): string {
  return candidate.kind.replace(/^bus_/, "").replace(/^zk$/, "attendance").replace(/^printer_tap$/, "ticket");
}

/** A name not taken yet for a place without a window: `T02`. */
export function freeName(role: string, taken: string[]): string {
  const letter = LETTERS[role] ?? "X";
  for (let n = 1; n < 100; n += 1) {
    const name = `${letter}${String(n).padStart(2, "0")}`;
    if (!taken.some((id) => id.includes(`-${name}-`))) return name;
  }
  return `${letter}99`;
}

/** The places a camera can take here: those that there are, and the next free one. */
export function cameraNames(hall: string, window: string | null, taken: string[]): { used: string[]; free: string } {
  const start = `${window ?? hall}-`;
  const form = window ? /^C\d+$/ : /^S\d+$/;
  const used = taken.filter((id) => id.startsWith(start) && form.test(id.slice(start.length))).map((id) => id.slice(start.length));
  for (let n = 1; n < 100; n += 1) {
    const name = window ? `C${n}` : `S${String(n).padStart(2, "0")}`;
    if (!used.includes(name)) return { used, free: name };
  }
  return { used, free: "" };
}

/** A range of IPv4 addresses as the hall reads it, with how many it names; null where it is none. Takes `a.b.c.d/n`,
 * `a.b.c.d-w.x.y.z`, for short `a.b.c.d-z`, one address, and a port behind any of them. */
export function addressRange(text: string): { text: string; count: number } | null {
  const match = /^([\d.]+)(?:\/(\d{1,2})|-([\d.]+))?(:\d{1,5})?$/.exec(text.trim());
  if (!match) return null;
  const [, begin = "", bits, end, port = ""] = match;
  const from = addressNumber(begin);
  if (from === null || Number(port.slice(1)) > 65_535) return null;
  if (bits !== undefined) return Number(bits) > 32 || Number(bits) < 8 ? null : { text: `${begin}/${bits}${port}`, count: 2 ** (32 - Number(bits)) };
  if (end === undefined) return { text: `${begin}${port}`, count: 1 };
  const whole = end.includes(".") ? end : `${begin.slice(0, begin.lastIndexOf("."))}.${end}`;
  const to = addressNumber(whole);
  return to === null || to < from ? null : { text: `${begin}-${whole}${port}`, count: to - from + 1 };
}

function addressNumber(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return null;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}
