// The frame message: the same bytes from the hall to the page (docs/reference/wall-protocol.md). Parses the 24-byte
// little-endian header; owns no socket and keeps no bytes of its own (the payload is a view of the message).

export const HEADER = 24;
export const VERSION = 1;

export const KIND_PARAMETERS = 0;
export const KIND_FRAME = 1;
export const KIND_END = 2;

export type Tier = "main" | "sub" | "key" | "still";
const TIERS: readonly Tier[] = ["main", "sub", "key", "still"];

export interface FrameMessage {
  kind: 0 | 1 | 2;
  key: boolean;
  discontinuity: boolean;
  tier: Tier;
  stream: number;
  /** Presentation time in microseconds, on the stream's own clock. */
  ptsUs: number;
  /** When the hall captured it, UTC in microseconds. */
  capturedUs: number;
  payload: Uint8Array;
}

/** Parses one message; null when it is not one that this page understands. */
export function parseFrame(buffer: ArrayBuffer): FrameMessage | null {
  if (buffer.byteLength < HEADER) return null;
  const view = new DataView(buffer);
  if (view.getUint8(0) !== VERSION) return null;
  const kind = view.getUint8(1);
  const tier = TIERS[view.getUint8(3)];
  if (kind > KIND_END || tier === undefined) return null;
  const flags = view.getUint8(2);
  return {
    kind: kind as 0 | 1 | 2,
    key: (flags & 1) !== 0,
    discontinuity: (flags & 2) !== 0,
    tier,
    stream: view.getUint32(4, true),
    // Microseconds since 1970 stay below 2^53 until the year 2255.
    ptsUs: Number(view.getBigInt64(8, true)),
    capturedUs: Number(view.getBigInt64(16, true)),
    payload: new Uint8Array(buffer, HEADER),
  };
}

/** The RFC 6381 name of an avcC record, such as `avc1.4d401f`; null when the record is not avcC. */
export function avcCodec(record: Uint8Array): string | null {
  if (record.length < 7 || record[0] !== 1) return null;
  const hex = (at: number) => record[at]!.toString(16).padStart(2, "0");
  return `avc1.${hex(1)}${hex(2)}${hex(3)}`;
}
