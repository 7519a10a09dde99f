import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fragment, initSegment, TIMESCALE, type Sample } from "../src/video/fmp4";

interface Box {
  name: string;
  body: DataView;
  children: Box[];
}
const CONTAINERS = new Set(["moov", "trak", "mdia", "minf", "stbl", "dinf", "mvex", "moof", "traf"]);

/** A small reader of boxes; throws when sizes do not add up. */
function boxes(bytes: Uint8Array): Box[] {
  const out: Box[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) {
    const size = view.getUint32(at);
    if (size < 8 || at + size > bytes.length) throw new Error(`bad size ${size} at ${at}`);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + 8, at + size);
    out.push({ name, body: new DataView(body.buffer, body.byteOffset, body.byteLength), children: CONTAINERS.has(name) ? boxes(body) : [] });
    at += size;
  }
  return out;
}
function find(all: Box[], path: string): Box {
  const [head, ...rest] = path.split("/");
  const box = all.find((b) => b.name === head);
  if (box === undefined) throw new Error(`no ${path}`);
  return rest.length === 0 ? box : find(box.children, rest.join("/"));
}

const RECORD = new Uint8Array([1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 2, 0x68, 1]);
const TRACK = { codec: "avc1.4d401f", record: RECORD, width: 1280, height: 720 };
const sample = (dts: number, pts: number, key: boolean, length: number): Sample => ({ dts, pts, key, duration: 40_000, bytes: new Uint8Array(length).fill(length) });

describe("initialisation segment", () => {
  const all = boxes(initSegment(TRACK));
  it("has the boxes that a track needs", () => {
    expect(all.map((b) => b.name)).toEqual(["ftyp", "moov"]);
    for (const path of ["moov/mvhd", "moov/trak/tkhd", "moov/trak/mdia/hdlr", "moov/trak/mdia/minf/stbl/stsd", "moov/mvex/trex"]) expect(find(all, path)).toBeDefined();
  });
  it("has a large duration and microseconds", () => {
    const mvhd = find(all, "moov/mvhd").body;
    expect(mvhd.getUint32(20)).toBe(TIMESCALE);
    expect(mvhd.getBigUint64(24)).toBeGreaterThan(1_000_000_000_000n);
  });
  it("carries size and record in the sample entry", () => {
    const stsd = find(all, "moov/trak/mdia/minf/stbl/stsd").body;
    const bytes = new Uint8Array(stsd.buffer, stsd.byteOffset + 8, stsd.byteLength - 8);
    const entry = boxes(bytes)[0]!;
    expect(entry.name).toBe("avc1");
    expect([entry.body.getUint16(24), entry.body.getUint16(26)]).toEqual([1280, 720]);
    const inner = boxes(new Uint8Array(entry.body.buffer, entry.body.byteOffset + 78, entry.body.byteLength - 78))[0]!;
    expect(inner.name).toBe("avcC");
    expect([...new Uint8Array(inner.body.buffer, inner.body.byteOffset, inner.body.byteLength)]).toEqual([...RECORD]);
  });
});

describe("fragment", () => {
  it("places every sample, with signed composition offsets", () => {
    const samples = [sample(80_000, 120_000, true, 30), sample(120_000, 240_000, false, 20), sample(160_000, 160_000, false, 10)];
    const bytes = fragment(7, samples);
    const all = boxes(bytes);
    expect(all.map((b) => b.name)).toEqual(["moof", "mdat"]);
    expect(find(all, "moof/mfhd").body.getUint32(4)).toBe(7);
    expect(find(all, "moof/traf/tfdt").body.getBigUint64(4)).toBe(80_000n);
    const trun = find(all, "moof/traf/trun").body;
    expect(trun.getUint32(4)).toBe(3);
    const offset = trun.getInt32(8);
    const rows = samples.map((_, i) => [0, 4, 8, 12].map((k) => trun.getInt32(12 + i * 16 + k)));
    expect(rows.map((r) => r[1])).toEqual([30, 20, 10]);
    expect(rows.map((r) => r[3])).toEqual([40_000, 120_000, 0]);
    expect(rows[0]![2]).toBe(0x0200_0000);
    expect(rows[1]![2]).toBe(0x0101_0000);
    expect(bytes[offset]).toBe(30);
    expect(bytes.length).toBe(offset + 60);
  });
  it("is nothing for nothing", () => expect(fragment(1, []).length).toBe(0));
});

// The mock's footage gives real access units; ffprobe is an independent judge of what we wrap them into.
describe("with real pictures", () => {
  it("is played by ffprobe without a complaint, B-frames included", async () => {
    const { Timeline } = await import("../src/video/timeline");
    // @ts-expect-error: a plain script of the development folder
    const { film } = await import("../dev/footage.mjs");
    for (const [name, extra] of [["test-p", []], ["test-b", ["-bf", "2"]]] as const) {
      const { record, frames, codec } = film(name, "absent.mp4", "null", "320x180", 10, extra) as { record: Uint8Array; codec: string; frames: { key: boolean; pts: number; bytes: Uint8Array }[] };
      const timeline = new Timeline();
      const parts = [initSegment({ codec, record, width: 320, height: 180 })];
      let placedCount = 0;
      let lastDts = -1;
      frames.forEach((f, i) => {
        const placed = timeline.place(f.pts, f.key);
        if (placed === null) return;
        expect(placed.dts).toBeGreaterThan(lastDts);
        lastDts = placed.dts;
        placedCount += 1;
        parts.push(fragment(i + 1, [{ ...f, ...placed }]));
      });
      // At most the groups in which the depth of reordering was learnt are lost.
      expect(placedCount).toBeGreaterThanOrEqual(name === "test-p" ? frames.length : frames.length - 45);
      const folder = mkdtempSync(join(tmpdir(), "hallwatch-fmp4-"));
      const file = join(folder, "out.mp4");
      writeFileSync(file, Buffer.concat(parts));
      const said = execFileSync("ffprobe", ["-v", "warning", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames,codec_name,width", "-of", "csv=p=0", file], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
      expect(said.trim()).toBe(`h264,320,${placedCount}`);
      rmSync(folder, { recursive: true });
    }
  }, 60_000);
});
