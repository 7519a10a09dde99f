// Key-frame tiles by WebCodecs: each key frame stands alone, so that a few decoders serve every tile of the page. Needs
// a secure context. Owns the pool; draws into one canvas per tile.

import type { FrameMessage } from "./frame";
import type { Player, PlayerEvents, Shown } from "./player";

/** Each picture is a round trip through several of the browser's threads: with fewer decoders a busy machine starves the tiles. */
const POOL = 8;
/** A decoder that has not given a picture by then is thrown away. */
const STUCK_MS = 4000;

interface Job {
  /** Whose picture it is: a newer one of the same owner replaces one that still waits. */
  owner: object;
  description: Uint8Array;
  codec: string;
  bytes: Uint8Array;
  done(frame: VideoFrame): void;
  failed(reason: string): void;
}

/** Whether this page can decode by WebCodecs at all. */
export function webcodecsHere(): boolean {
  return typeof VideoDecoder !== "undefined" && globalThis.isSecureContext;
}

/** One decoder, one picture at a time. It is flushed after each: otherwise a picture stays inside until the next. */
class PooledDecoder {
  private decoder: VideoDecoder | null = null;
  private description: Uint8Array | null = null;
  private codec = "";
  private output: ((frame: VideoFrame) => void) | null = null;
  busy = false;

  fits(job: Job): boolean {
    return this.codec === job.codec && this.description !== null && same(this.description, job.description);
  }

  async run(job: Job): Promise<void> {
    this.busy = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const decoder = this.ready(job);
      let drawn = false;
      this.output = (frame) => {
        if (!drawn) job.done(frame);
        drawn = true;
      };
      decoder.decode(new EncodedVideoChunk({ type: "key", timestamp: 0, data: job.bytes as BufferSource }));
      await Promise.race([
        decoder.flush(),
        new Promise<never>((_, refuse) => {
          timer = setTimeout(() => refuse(new Error("decoder is stuck")), STUCK_MS);
        }),
      ]);
      if (!drawn) throw new Error("decoder gave no picture");
    } catch (error) {
      this.discard();
      job.failed(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
      this.output = null;
      this.busy = false;
    }
  }

  private ready(job: Job): VideoDecoder {
    if (this.decoder !== null && this.decoder.state === "closed") this.discard();
    this.decoder ??= new VideoDecoder({
      output: (frame) => {
        this.output?.(frame);
        frame.close();
      },
      error: () => undefined, // flush() is refused with the same reason
    });
    if (!this.fits(job)) {
      this.decoder.configure({ codec: job.codec, description: job.description as BufferSource, optimizeForLatency: true });
      this.codec = job.codec;
      this.description = job.description;
    }
    return this.decoder;
  }

  private discard(): void {
    if (this.decoder !== null && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.description = null;
  }
}

/** The page's few shared decoders and what waits for them: at most one picture per tile. */
export class DecoderPool {
  private readonly decoders: PooledDecoder[] = [];
  private readonly waiting = new Map<object, Job>();

  decode(job: Job): void {
    this.waiting.set(job.owner, job);
    this.pump();
  }

  forget(owner: object): void {
    this.waiting.delete(owner);
  }

  private pump(): void {
    for (const [owner, job] of this.waiting) {
      const idle = this.decoders.filter((d) => !d.busy);
      let decoder = idle.find((d) => d.fits(job));
      if (decoder === undefined && this.decoders.length < POOL) {
        decoder = new PooledDecoder();
        this.decoders.push(decoder);
      }
      decoder ??= idle[0];
      if (decoder === undefined) return;
      this.waiting.delete(owner);
      void decoder.run(job).then(() => this.pump());
    }
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
  private failures = 0;

  constructor(private readonly events: PlayerEvents) {}

  parameters(record: Uint8Array, codec: string, _width: number, _height: number): void {
    if (this.record !== null && this.codec === codec && same(this.record, record)) return;
    this.record = record.slice();
    this.codec = codec;
  }

  frame(message: FrameMessage, arrivedMs: number): void {
    if (this.dead || this.record === null || !message.key) return;
    const shown: Shown = { capturedMs: message.capturedUs / 1000, arrivedMs };
    pool.decode({
      description: this.record,
      codec: this.codec,
      bytes: message.payload,
      owner: this,
      done: (frame) => {
        if (this.dead) return;
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
    pool.forget(this);
    this.element.remove();
  }

  /** Drawn at the size it is seen at: without a GPU the pixels are the cost (docs/design/wall-in-the-page.md). */
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
