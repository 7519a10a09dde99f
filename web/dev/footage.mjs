// For the development mock: real access units out of the clips (HALLWATCH_CLIPS, or ../shared/clips beside the project),
// or out of ffmpeg's test picture where there are none. Needs ffmpeg and ffprobe.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const clips = process.env.HALLWATCH_CLIPS ?? resolve(import.meta.dirname, "../../../shared/clips");
export const kept = join(tmpdir(), "hallwatch-mock");

const ffmpeg = (...args) => execFileSync("ffmpeg", ["-v", "error", "-y", ...args], { stdio: ["ignore", "inherit", "inherit"] });

/** The NAL units of an Annex B file, grouped into access units at the delimiters (type 9). */
function accessUnits(bytes) {
  const starts = [];
  for (let i = 0; i + 3 < bytes.length; i += 1) if (bytes[i] === 0 && bytes[i + 1] === 0 && bytes[i + 2] === 1) starts.push(i + 3);
  const units = [];
  let sps = null;
  let pps = null;
  starts.forEach((start, n) => {
    let end = n + 1 < starts.length ? starts[n + 1] - 3 : bytes.length;
    while (end > start && bytes[end - 1] === 0) end -= 1;
    const nal = bytes.subarray(start, end);
    const type = nal[0] & 31;
    if (type === 9) units.push({ nals: [], key: false });
    else if (type === 7) sps ??= nal;
    else if (type === 8) pps ??= nal;
    else if (type === 1 || type === 5) {
      const unit = units.at(-1);
      unit.nals.push(nal);
      if (type === 5) unit.key = true;
    }
  });
  const avcc = (nals) => Buffer.concat(nals.flatMap((nal) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(nal.length);
    return [length, nal];
  }));
  const record = Buffer.concat([
    Buffer.from([1, sps[1], sps[2], sps[3], 0xff, 0xe1, sps.length >> 8, sps.length & 255]), sps,
    Buffer.from([1, pps.length >> 8, pps.length & 255]), pps,
  ]);
  return { record, units: units.filter((u) => u.nals.length > 0).map((u) => ({ key: u.key, bytes: avcc(u.nals) })) };
}

/** One looping film: parameters, frames with times, and one JPEG. */
export function film(name, clip, filter, size, rate, extra = []) {
  mkdirSync(kept, { recursive: true });
  const mp4 = join(kept, `${name}.mp4`);
  const raw = join(kept, `${name}.h264`);
  const jpg = join(kept, `${name}.jpg`);
  const source = join(clips, clip);
  if (!existsSync(jpg)) {
    const input = existsSync(source) ? ["-i", source] : ["-f", "lavfi", "-t", "12", "-i", `testsrc2=s=${size}:r=${rate}`];
    ffmpeg(...input, "-an", "-t", "20", "-r", String(rate), "-vf", `scale=${size.replace("x", ":")},${filter}`, "-c:v", "libx264", "-preset", "veryfast",
      "-pix_fmt", "yuv420p", "-profile:v", "main", "-bf", "0", "-g", String(rate * 2), "-keyint_min", String(rate * 2), "-sc_threshold", "0", "-crf", "28", ...extra, mp4);
    ffmpeg("-i", mp4, "-c", "copy", "-bsf:v", "h264_mp4toannexb,h264_metadata=aud=insert", "-f", "h264", raw);
    ffmpeg("-i", mp4, "-frames:v", "1", "-q:v", "6", jpg);
  }
  const times = execFileSync("ffprobe", ["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0", mp4], { encoding: "utf8" })
    .trim().split("\n").map((t) => Math.round(parseFloat(t) * 1e6));
  const { record, units } = accessUnits(readFileSync(raw));
  const [width, height] = size.split("x").map(Number);
  const frames = units.map((u, i) => ({ ...u, pts: times[i] }));
  return { record, frames, frameUs: 1e6 / rate, length: Math.max(...times) + 1e6 / rate, width, height, codec: `avc1.${record.subarray(1, 4).toString("hex")}`, jpeg: readFileSync(jpg) };
}
