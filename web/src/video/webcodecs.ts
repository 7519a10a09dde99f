// Key-frame tiles by WebCodecs: each key frame stands alone, so that a few decoders serve every tile of the page. Needs
// a secure context. Owns the pool; draws into one canvas per tile.

import type { FrameMessage } from "./frame";
import type { Player, PlayerEvents, Shown } from "./player";

const POOL = 4;
const MAX_WAITING = 64;

interface Job {
  description: Uint8Array;
  codec: string;
  bytes: Uint8Array;
  key: boolean;
  done(frame: VideoFrame): void;
  failed(reason: string): void;
  cancelled(): boolean;
}

/** Whether this page can decode by WebCodecs at all. */
export function webcodecsHere(): boolean {
  return typeof VideoDecoder !== "undefined" && globalThis.isSecureContext;
}

class PooledDecoder {
  private decoder: VideoDecoder | null = null;
  private description: Uint8Array | null = null;
  private codec = "";
  private running = new Map<number, Job>();
  private stamp = 0;

  get load(): number {
    return this.running.size;
  }

  fits(job: Job): boolean {
    return this.codec === job.codec && this.description !== null && same(this.description, job.description);
  }

  run(job: Job): void {
    try {
      if (this.decoder === null || this.decoder.state === "closed") this.decoder = this.create();
      if (!this.fits(job) || this.decoder.state === "unconfigured") {
        this.decoder.configure({ codec: job.codec, description: job.description as BufferSource, optimizeForLatency: true });
        this.codec = job.codec;
        this.description = job.description;
      }
      const timestamp = ++this.stamp;
      this.running.set(timestamp, job);
      this.decoder.decode(new EncodedVideoChunk({ type: "key", timestamp, data: job.bytes as BufferSource }));
    } catch (error) {
      job.failed(error instanceof Error ? error.message : String(error));
    }
  }

  private create(): VideoDecoder {
    return new VideoDecoder({
      output: (frame) => {
        const job = this.running.get(frame.timestamp);
        // What was put in before and never came out never will.
        for (const stamp of this.running.keys()) if (stamp <= frame.timestamp) this.running.delete(stamp);
        if (job !== undefined && !job.cancelled()) job.done(frame);
        frame.close();
      },
      error: (error) => {
        const lost = [...this.running.values()];
        this.running.clear();
        this.decoder = null;
        this.description = null;
        for (const job of lost) job.failed(error.message);
      },
    });
  }
}

/** The page's few shared decoders. */
export class DecoderPool {
  private readonly decoders: PooledDecoder[] = [];

  decode(job: Job): void {
    const idle = this.decoders.filter((d) => d.load < MAX_WAITING);
    const fitting = idle.filter((d) => d.fits(job)).sort((a, b) => a.load - b.load)[0];
    if (fitting !== undefined && (fitting.load < 2 || this.decoders.length >= POOL)) return fitting.run(job);
    if (this.decoders.length < POOL) {
      const fresh = new PooledDecoder();
      this.decoders.push(fresh);
      return fresh.run(job);
    }
    const least = idle.sort((a, b) => a.load - b.load)[0];
    if (least === undefined) return; // every decoder is behind: this picture is skipped, a newer one comes
    least.run(job);
  }
}

const pool = new DecoderPool();

export class WebCodecsPlayer implements Player {
  readonly path = "webcodecs" as const;
  readonly element = document.createElement("canvas");
  private readonly context = this.element.getContext("2d", { alpha: false });
  private record: Uint8Array | null = null;
  private codec = "";
  private dead = false;
  private order = 0;
  private drawnOrder = 0;
  private failures = 0;

  constructor(private readonly events: PlayerEvents) {}

  parameters(record: Uint8Array, codec: string, _width: number, _height: number): void {
    if (this.record !== null && this.codec === codec && same(this.record, record)) return;
    this.record = record.slice();
    this.codec = codec;
  }

  frame(message: FrameMessage, arrivedMs: number): void {
    if (this.dead || this.record === null || !message.key) return;
    const order = ++this.order;
    const shown: Shown = { capturedMs: message.capturedUs / 1000, arrivedMs };
    pool.decode({
      description: this.record,
      codec: this.codec,
      bytes: message.payload,
      key: true,
      cancelled: () => this.dead || order < this.drawnOrder,
      done: (frame) => {
        this.drawnOrder = order;
        this.failures = 0;
        this.draw(frame);
        this.events.drawn(shown);
      },
      failed: (reason) => {
        this.failures += 1;
        if (this.failures >= 3 && !this.dead) this.events.failed(reason);
      },
    });
  }

  tick(): void {}

  destroy(): void {
    this.dead = true;
    this.element.remove();
  }

  /** Drawn at the size it is seen at: on a machine without a GPU the pixels are the cost (facts/stack.md 3). */
  private draw(frame: VideoFrame): void {
    const seen = this.element.clientWidth * Math.min(2, globalThis.devicePixelRatio || 1);
    const scale = seen > 0 ? Math.min(1, seen / frame.displayWidth) : 1;
    const width = Math.max(2, Math.round(frame.displayWidth * scale));
    const height = Math.max(2, Math.round(frame.displayHeight * scale));
    if (this.element.width !== width || this.element.height !== height) {
      this.element.width = width;
      this.element.height = height;
    }
    this.context?.drawImage(frame, 0, 0, width, height);
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((v, i) => v === b[i]);
}
