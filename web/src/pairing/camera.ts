// A camera in pairing: its streams as it tells them, where makers keep theirs, and what an audit says in words. Pure.

import type { AuditFinding, StreamAudit } from "./model";

type Say = (key: string, params?: Record<string, unknown>) => string;
type Has = (key: string) => boolean;

/** A stream as the camera tells of it. */
export interface Stream {
  name: string;
  uri: string | null;
  codec: string;
  width: number;
  height: number;
  fps: number | null;
  kbps: number | null;
}

/** Where cameras of a maker have their streams, by the makers' own manuals. */
export const MAKERS: { name: string; main: string; sub: string }[] = [
  { name: "海康威视 Hikvision", main: "/Streaming/Channels/101", sub: "/Streaming/Channels/102" },
  { name: "大华 Dahua", main: "/cam/realmonitor?channel=1&subtype=0", sub: "/cam/realmonitor?channel=1&subtype=1" },
  { name: "宇视 Uniview", main: "/media/video1", sub: "/media/video2" },
  { name: "天地伟业 Tiandy", main: "/1/1", sub: "/1/2" },
];

/** The streams that can be chosen: those with an address. */
export function streamsOf(facts: Record<string, unknown>): Stream[] {
  const all = facts["streams"];
  return Array.isArray(all) ? (all as Stream[]).filter((s) => typeof s.uri === "string") : [];
}

/** `1920×1080 · H.264 · 25 帧/秒 · 2048 kbit/s`. */
export function streamText(s: Stream, t: Say): string {
  const codec = s.codec === "h264" ? "H.264" : s.codec === "h265" ? "H.265" : s.codec.toUpperCase();
  const parts = [s.width > 0 ? `${s.width}×${s.height}` : "", codec, s.fps ? t("pair.camera.fps", { n: round(s.fps) }) : "", s.kbps ? `${s.kbps} kbit/s` : ""];
  return parts.filter((part) => part !== "").join(" · ");
}

/** An address as `rtsp://host:port` for what a person adds a path to. */
export function rtspBase(facts: Record<string, unknown>): string {
  const rtsp = facts["rtsp"];
  if (typeof rtsp === "string") return `rtsp://${rtsp}`;
  return typeof facts["address"] === "string" ? `rtsp://${facts["address"]}:554` : "rtsp://";
}

export function isStream(url: string): boolean {
  return /^rtsp:\/\/[^\s/@]+(\/\S*)?$/.test(url.trim());
}

export function round(n: number): number {
  return Math.round(n * 10) / 10;
}

/** What was measured, as rows of name and value. */
export function measured(stream: StreamAudit, t: Say): [string, string][] {
  const m = stream.report?.measured;
  if (!m) return [];
  const rows: [string, string | null][] = [
    [t("pair.audit.codec"), `${m.codec === "h265" ? "H.265" : "H.264"}${m.profile ? ` ${m.profile}` : ""}`],
    [t("pair.audit.size"), `${m.width}×${m.height}`],
    [t("pair.audit.fps"), m.fps === null ? null : t("pair.camera.fps", { n: round(m.fps) }) + (m.told_fps ? t("pair.audit.told", { n: round(m.told_fps) }) : "")],
    [t("pair.audit.kbps"), m.kbps === null ? null : `${Math.round(m.kbps)} kbit/s`],
    [t("pair.audit.gop"), m.gop ? t("pair.audit.seconds", { n: round(m.gop.longest_s) }) : null],
    [t("pair.audit.clock"), m.clock_offset_s === null ? t("pair.audit.untold") : t("pair.audit.offset", { n: (m.clock_offset_s > 0 ? "+" : "") + round(m.clock_offset_s) })],
    [t("pair.audit.played"), t("pair.audit.seconds", { n: round(m.seconds) })],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null);
}

/** A finding, and what to do about it. What is not known here is shown by its own name, never hidden. */
export function findingText(finding: AuditFinding, t: Say, te: Has): { what: string; change: string } {
  const said = (key: string, params: Record<string, unknown>, name: string) => (te(key) ? t(key, params) : name);
  const what = said(`pair.audit.what.${finding.code}`, finding, finding.code);
  const change = finding.change;
  return { what, change: change ? said(`pair.audit.change.${change.setting}`, change, change.setting) : "" };
}
