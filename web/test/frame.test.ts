import { describe, expect, it } from "vitest";
import { avcCodec, parseFrame } from "../src/video/frame";

function message(kind: number, flags: number, tier: number, payload: number[] = [], version = 1): ArrayBuffer {
  const bytes = new Uint8Array(24 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set([version, kind, flags, tier]);
  view.setUint32(4, 4_000_000_007, true);
  view.setBigInt64(8, -1234n, true);
  view.setBigInt64(16, 1_795_312_862_123_456n, true);
  bytes.set(payload, 24);
  return bytes.buffer;
}

describe("frame message", () => {
  it("reads every field, little-endian", () => {
    const said = parseFrame(message(1, 3, 2, [9, 8, 7]))!;
    expect(said).toMatchObject({ kind: 1, key: true, discontinuity: true, tier: "key", stream: 4_000_000_007, ptsUs: -1234, capturedUs: 1_795_312_862_123_456 });
    expect([...said.payload]).toEqual([9, 8, 7]);
  });
  it("takes parameters and ends", () => {
    expect(parseFrame(message(0, 0, 0, [1]))).toMatchObject({ kind: 0, key: false, tier: "main" });
    expect(parseFrame(message(2, 0, 3))!.payload.length).toBe(0);
  });
  it("refuses what it does not know", () => {
    expect(parseFrame(new ArrayBuffer(23))).toBeNull();
    expect(parseFrame(message(1, 0, 0, [], 2))).toBeNull();
    expect(parseFrame(message(3, 0, 0))).toBeNull();
    expect(parseFrame(message(1, 0, 4))).toBeNull();
  });
  it("names the codec of an avcC record", () => {
    expect(avcCodec(new Uint8Array([1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0]))).toBe("avc1.4d401f");
    expect(avcCodec(new Uint8Array([2, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0]))).toBeNull();
  });
});
