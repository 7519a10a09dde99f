// A fragmented-MP4 writer for one H.264/H.265 track: what Media Source Extensions need and no more (ISO/IEC 14496-12,
// -15). Pure: bytes in, bytes out; knows no media element and no clock.

/** Ticks per second of everything written here: microseconds, so that times are copied and never rounded. */
export const TIMESCALE = 1_000_000;

// Chrome takes a zero duration for a live low-delay stream and then drops B-frames after a seek
// (docs/design/wall-in-the-page.md).
const LONG_DURATION = 0x7fff_ffff_ffffn;

export interface Track {
  /** `avc1.…` or `hvc1.…`. */
  codec: string;
  /** The avcC or hvcC record. */
  record: Uint8Array;
  width: number;
  height: number;
}

export interface Sample {
  bytes: Uint8Array;
  key: boolean;
  /** Decode and presentation time in microseconds of the media timeline, and how long the picture stands. */
  dts: number;
  pts: number;
  duration: number;
}

type Part = Uint8Array | number[];

function join(parts: Part[]): Uint8Array {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const out = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const u16 = (v: number) => [(v >>> 8) & 255, v & 255];
const u32 = (v: number) => [(v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255];
const u64 = (v: bigint) => [...u32(Number((v >> 32n) & 0xffff_ffffn)), ...u32(Number(v & 0xffff_ffffn))];
const zeros = (n: number) => new Array<number>(n).fill(0);
const ascii = (s: string) => [...s].map((c) => c.charCodeAt(0));

function box(name: string, ...parts: Part[]): Uint8Array {
  const body = join(parts);
  return join([u32(body.length + 8), ascii(name), body]);
}

const full = (name: string, version: number, flags: number, ...parts: Part[]) =>
  box(name, [version, (flags >>> 16) & 255, (flags >>> 8) & 255, flags & 255], ...parts);

const MATRIX = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000].flatMap(u32);

function sampleEntry(track: Track): Uint8Array {
  const hevc = track.codec.startsWith("hvc1") || track.codec.startsWith("hev1");
  return box(
    track.codec.slice(0, 4),
    zeros(6), u16(1), // data reference 1
    zeros(16), u16(track.width), u16(track.height),
    u32(0x0048_0000), u32(0x0048_0000), u32(0), u16(1),
    zeros(32), u16(24), u16(0xffff),
    box(hevc ? "hvcC" : "avcC", track.record),
  );
}

/** The initialisation segment (ftyp + moov) of a track. */
export function initSegment(track: Track): Uint8Array {
  const mvhd = full("mvhd", 1, 0, u64(0n), u64(0n), u32(TIMESCALE), u64(LONG_DURATION),
    u32(0x10000), u16(0x100), zeros(10), MATRIX, zeros(24), u32(2));
  const tkhd = full("tkhd", 1, 3, u64(0n), u64(0n), u32(1), u32(0), u64(LONG_DURATION),
    zeros(8), u16(0), u16(0), u16(0), u16(0), MATRIX, u32(track.width * 0x10000), u32(track.height * 0x10000));
  const mdhd = full("mdhd", 1, 0, u64(0n), u64(0n), u32(TIMESCALE), u64(LONG_DURATION), u16(0x55c4), u16(0));
  const hdlr = full("hdlr", 0, 0, u32(0), ascii("vide"), zeros(12), ascii("window\0"));
  const dinf = box("dinf", full("dref", 0, 0, u32(1), full("url ", 0, 1)));
  const stbl = box("stbl",
    full("stsd", 0, 0, u32(1), sampleEntry(track)),
    full("stts", 0, 0, u32(0)), full("stsc", 0, 0, u32(0)),
    full("stsz", 0, 0, u32(0), u32(0)), full("stco", 0, 0, u32(0)));
  const minf = box("minf", full("vmhd", 0, 1, zeros(8)), dinf, stbl);
  return join([
    box("ftyp", ascii("iso6"), u32(0), ascii("iso6mp41")),
    box("moov", mvhd, box("trak", tkhd, box("mdia", mdhd, hdlr, minf)),
      box("mvex", full("trex", 0, 0, u32(1), u32(1), u32(0), u32(0), u32(0)))),
  ]);
}

/** One fragment (moof + mdat) of samples in decode order. */
export function fragment(sequence: number, samples: readonly Sample[]): Uint8Array {
  const first = samples[0];
  if (first === undefined) return new Uint8Array(0);
  const rows = samples.flatMap((s) => [
    ...u32(Math.max(1, Math.round(s.duration))),
    ...u32(s.bytes.length),
    // depends on none + sync, or depends on others + non-sync
    ...u32(s.key ? 0x0200_0000 : 0x0101_0000),
    ...u32(Math.round(s.pts - s.dts)), // signed in version 1
  ]);
  const moof = (offset: number) => box("moof",
    full("mfhd", 0, 0, u32(sequence)),
    box("traf",
      full("tfhd", 0, 0x02_0000, u32(1)), // default-base-is-moof
      full("tfdt", 1, 0, u64(BigInt(Math.max(0, Math.round(first.dts))))),
      full("trun", 1, 0x000f01, u32(samples.length), u32(offset), rows)));
  const size = moof(0).length;
  const payload = samples.reduce((sum, s) => sum + s.bytes.length, 0);
  return join([moof(size + 8), u32(payload + 8), ascii("mdat"), ...samples.map((s) => s.bytes)]);
}
