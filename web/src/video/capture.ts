// A still of what a tile shows: its own decoded picture, with a strip below it that says what, where and when. The time is
// the picture's, never the moment of the click.

export interface StillFacts {
  camera: string;
  /** Name of camera or window, as people call it. */
  name: string;
  window: string | null;
  caseId: string | null;
  /** When the picture was captured, ms since 1970. */
  capturedMs: number;
  /** Who took it. */
  person: string;
}

const pad = (n: number, digits = 2) => String(n).padStart(digits, "0");

/** `2026-11-22 09:02:03.456 +08:00`, of this browser's zone. */
export function exactTime(ms: number): string {
  const d = new Date(ms);
  const zone = -d.getTimezoneOffset();
  const offset = `${zone < 0 ? "-" : "+"}${pad(Math.trunc(Math.abs(zone) / 60))}:${pad(Math.abs(zone) % 60)}`;
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)} ${offset}`;
}

/** `450103-01-W07-C1_20261122-090203.456_450103-01-20261122-00042-C.jpg`. */
export function stillName(facts: StillFacts): string {
  const d = new Date(facts.capturedMs);
  const at = `${d.getFullYear()}${pad(d.getMonth() + 1)}${pad(d.getDate())}-${pad(d.getHours())}${pad(d.getMinutes())}${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)}`;
  return `${[facts.camera, at, facts.caseId].filter(Boolean).join("_").replace(/[^\w.-]/g, "-")}.jpg`;
}

/** The picture with its strip, as a JPEG. `picture` is at its own size. */
export async function still(picture: CanvasImageSource, width: number, height: number, facts: StillFacts): Promise<Blob> {
  const line = Math.max(14, Math.round(width / 42));
  const strip = Math.round(line * 3.2);
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height + strip;
  const context = canvas.getContext("2d", { alpha: false });
  if (context === null) throw new Error("no canvas");
  context.drawImage(picture, 0, 0, width, height);
  context.fillStyle = "#0b1117";
  context.fillRect(0, height, width, strip);
  context.fillStyle = "#e8eef4";
  context.textBaseline = "middle";
  context.font = `${line}px "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", sans-serif`;
  const room = width - line;
  context.fillText([facts.name, facts.window ?? facts.camera, facts.caseId].filter(Boolean).join("  ·  "), line / 2, height + strip * 0.3, room);
  context.fillText(`${exactTime(facts.capturedMs)}  ·  ${facts.person}`, line / 2, height + strip * 0.72, room);
  return new Promise((done, failed) => {
    canvas.toBlob((blob) => (blob === null ? failed(new Error("no picture")) : done(blob)), "image/jpeg", 0.92);
  });
}

/** Hands a file to the person. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the address by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
