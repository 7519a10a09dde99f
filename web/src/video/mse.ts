// The base path: access units wrapped into fMP4 and played by Media Source Extensions. It works on plain HTTP and
// carries 64 moving tiles (docs/design/wall-in-the-page.md). Two ways of playing: `flow` for moving pictures, kept
// 1.0–1.2 s behind the newest frame; `newest` for key frames, paused on the newest one.

import type { FrameMessage } from "./frame";
import { fragment, initSegment, type Sample } from "./fmp4";
import type { Player, PlayerEvents, Shown } from "./player";
import { Timeline } from "./timeline";

const TARGET_LAG_S = 1.1;
const SLOW_BELOW_S = 0.5;
const HURRY_ABOVE_S = 1.6;
const HARD_SEEK_S = 6;
/** A new stream begins with up to a group of pictures from before; it catches up by one jump, not by hurrying. */
const SETTLE_MS = 4000;
const KEEP_S = 10;
const MAX_QUEUED_SAMPLES = 500;
/** In `newest`, every key frame stands for this long on a made-up timeline. */
const STEP_US = 1_000_000;

interface Placed extends Shown {
  at: number;
}

/** Whether this browser decodes the codec by MSE. */
export function mseSupports(codec: string): boolean {
  return typeof MediaSource !== "undefined" && MediaSource.isTypeSupported(`video/mp4; codecs="${codec}"`);
}

export class MsePlayer implements Player {
  readonly path = "mse" as const;
  readonly element = document.createElement("video");
  private readonly source = new MediaSource();
  private readonly url = URL.createObjectURL(this.source);
  private buffer: SourceBuffer | null = null;
  private mime = "";
  private record: Uint8Array | null = null;
  private codec = "";
  private pendingInit: Uint8Array | null = null;
  private queue: Sample[] = [];
  private sequence = 1;
  private timeline = new Timeline();
  private steps = 0;
  private started = false;
  private settleUntil = 0;
  private dead = false;
  private placed: Placed[] = [];
  private lastShownAt = -1;
  private readonly hasFrameCallback: boolean;

  constructor(private readonly mode: "flow" | "newest", private readonly events: PlayerEvents) {
    const v = this.element;
    v.muted = true;
    v.playsInline = true;
    v.disablePictureInPicture = true;
    v.disableRemotePlayback = true;
    v.src = this.url;
    v.addEventListener("error", () => this.fail(v.error?.message || `media error ${v.error?.code ?? ""}`));
    this.source.addEventListener("sourceopen", () => this.open(), { once: true });
    this.hasFrameCallback = "requestVideoFrameCallback" in v;
    this.watchFrames();
  }

  parameters(record: Uint8Array, codec: string, width: number, height: number): void {
    if (this.record !== null && this.codec === codec && same(this.record, record)) return;
    this.flush();
    this.record = record.slice();
    this.codec = codec;
    this.mime = `video/mp4; codecs="${codec}"`;
    this.pendingInit = initSegment({ codec, record: this.record, width: width || 1280, height: height || 720 });
    this.timeline.cut();
    this.open();
  }

  frame(message: FrameMessage, arrivedMs: number): void {
    if (this.dead || this.record === null) return;
    const shown = { capturedMs: message.capturedUs / 1000, arrivedMs };
    if (this.mode === "newest") {
      if (!message.key) return;
      const at = this.steps * STEP_US;
      this.steps += 1;
      // Only the newest matters: what still waits is dropped.
      this.queue = [{ bytes: message.payload, key: true, dts: at, pts: at, duration: STEP_US }];
      this.placed.push({ at: at / 1e6, ...shown });
    } else {
      if (message.discontinuity) this.timeline.cut();
      const placed = this.timeline.place(message.ptsUs, message.key);
      if (placed === null) return;
      this.queue.push({ bytes: message.payload, key: message.key, ...placed });
      this.placed.push({ at: placed.pts / 1e6, ...shown });
      if (this.queue.length > MAX_QUEUED_SAMPLES) {
        // The media element is stuck; start again at the next key frame rather than grow.
        this.queue = [];
        this.timeline.cut();
      }
    }
    if (this.placed.length > 600) this.placed.splice(0, 300);
    this.flush();
  }

  tick(): void {
    const v = this.element;
    if (this.dead || !this.started || this.buffer === null) return;
    const ranges = this.buffer.buffered;
    if (ranges.length === 0) return;
    const start = ranges.start(ranges.length - 1);
    const end = ranges.end(ranges.length - 1);
    if (this.mode === "flow") {
      const lag = end - v.currentTime;
      const settling = Date.now() < this.settleUntil && lag > HURRY_ABOVE_S && v.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
      if (settling || lag > HARD_SEEK_S || v.currentTime < start - 0.05) {
        this.settleUntil = 0;
        v.currentTime = Math.max(start, end - TARGET_LAG_S);
      } else {
        const rate = lag > 3 ? 1.25 : lag > HURRY_ABOVE_S ? 1.08 : lag < SLOW_BELOW_S ? 0.94 : 1;
        const settled = v.playbackRate > 1 && lag > TARGET_LAG_S ? v.playbackRate : rate;
        if (Math.abs(v.playbackRate - settled) > 0.001) v.playbackRate = settled;
      }
      if (v.paused) void v.play().catch(() => undefined);
    }
    if (!this.hasFrameCallback) this.report(v.currentTime);
    if (!this.buffer.updating && this.pendingInit === null && ranges.start(0) < v.currentTime - KEEP_S * 1.5) {
      this.attempt(() => this.buffer!.remove(0, v.currentTime - KEEP_S));
    }
  }

  destroy(): void {
    this.dead = true;
    this.queue = [];
    this.element.pause();
    this.element.removeAttribute("src");
    this.element.load();
    URL.revokeObjectURL(this.url);
    this.element.remove();
  }

  private open(): void {
    if (this.dead || this.source.readyState !== "open" || this.record === null) return;
    if (this.buffer === null) {
      URL.revokeObjectURL(this.url);
      this.attempt(() => {
        this.source.duration = Number.POSITIVE_INFINITY;
        this.buffer = this.source.addSourceBuffer(this.mime);
        this.buffer.addEventListener("updateend", () => this.updated());
        this.buffer.addEventListener("error", () => this.fail("append"));
      });
    }
    this.flush();
  }

  private flush(): void {
    const sb = this.buffer;
    if (this.dead || sb === null || sb.updating) return;
    this.attempt(() => {
      if (this.pendingInit !== null) {
        const init = this.pendingInit;
        this.pendingInit = null;
        sb.changeType(this.mime);
        sb.appendBuffer(init as BufferSource);
      } else if (this.queue.length > 0) {
        const samples = this.queue;
        this.queue = [];
        sb.appendBuffer(fragment(this.sequence++, samples) as BufferSource);
      }
    });
  }

  private updated(): void {
    const sb = this.buffer;
    const v = this.element;
    if (this.dead || sb === null) return;
    const ranges = sb.buffered;
    if (ranges.length > 0) {
      const start = ranges.start(ranges.length - 1);
      const end = ranges.end(ranges.length - 1);
      if (this.mode === "newest") {
        const target = end - STEP_US / 2e6;
        if (v.currentTime < target - 0.1) v.currentTime = target;
        this.started = true;
        // Ends the stream for now: the decoder then gives its last picture at once instead of waiting for the next one.
        if (this.queue.length === 0 && this.source.readyState === "open") this.attempt(() => this.source.endOfStream());
      } else if (!this.started) {
        this.started = true;
        this.settleUntil = Date.now() + SETTLE_MS;
        v.currentTime = start;
        void v.play().catch(() => undefined);
      } else if (ranges.length > 1 && v.currentTime < start && v.readyState < HTMLMediaElement.HAVE_FUTURE_DATA) {
        v.currentTime = start;
      }
    }
    this.flush();
  }

  private watchFrames(): void {
    if (!this.hasFrameCallback) return;
    const next = () => {
      this.element.requestVideoFrameCallback((_now, meta) => {
        if (this.dead) return;
        this.report(meta.mediaTime);
        next();
      });
    };
    next();
  }

  /** The newest placed frame at or before the media time is what is on the screen. */
  private report(mediaTime: number): void {
    let found: Placed | null = null;
    for (const p of this.placed) if (p.at <= mediaTime + 0.002 && (found === null || p.at > found.at)) found = p;
    if (found === null || found.at === this.lastShownAt) return;
    if (!this.hasFrameCallback && this.element.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    this.lastShownAt = found.at;
    this.placed = this.placed.filter((p) => p.at >= found.at);
    this.events.drawn(found);
  }

  private attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (error instanceof DOMException && error.name === "QuotaExceededError") {
        this.queue = [];
        this.timeline.cut();
        return;
      }
      this.fail(error instanceof Error ? error.message : String(error));
    }
  }

  private fail(reason: string): void {
    if (this.dead) return;
    this.dead = true;
    this.events.failed(reason);
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((v, i) => v === b[i]);
}
