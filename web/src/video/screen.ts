// The page's screen: its one wall socket, the tiles that hang on it, and the streams between them. Works out what is
// watched from which tiles can be seen. Lives outside Vue's reactivity.

import type { Alarm } from "../wall/alarms";
import { KIND_END, KIND_PARAMETERS, type FrameMessage } from "./frame";
import { LoadWatch, type Shed } from "./loadwatch";
import type { Path } from "./player";
import { Tile, type TileHost, type TileOptions } from "./tile";
import type { StreamRow } from "./tilestate";
import { WallSocket, type Problem, type Watch } from "./wallsocket";

const TICK_MS = 250;
const TICKS_PER_LOOK = 4;
/** Streams remembered for tiles that join late. */
const MAX_STREAMS = 256;

interface Stream {
  parameters: FrameMessage | null;
  lastKey: FrameMessage | null;
  lastKeyArrived: number;
}

export interface ScreenEvents<W> {
  windows(rows: W[]): void;
  alarms(rows: Alarm[]): void;
  /** The wall asks for less, or for more again, because this machine does not, or does again, keep up. */
  shed(level: Shed): void;
  link(up: boolean): void;
  problem(problem: Problem): void;
}

/** The way forced by `?path=`, for tests and for the curious. */
export function forcedPath(search: string): Path | null {
  const path = new URLSearchParams(search).get("path");
  return path === "mse" || path === "webcodecs" || path === "still" ? path : null;
}

export class Screen<W> implements TileHost {
  linkUp = false;
  missedFrames = 0;
  private readonly tiles = new Map<number, Tile>();
  private readonly byRoot = new WeakMap<Element, Tile>();
  private readonly streams = new Map<number, Stream>();
  private readonly socket: WallSocket<W>;
  private readonly eyes: IntersectionObserver;
  private timer: ReturnType<typeof setInterval> | null = null;
  private hiddenTimer: ReturnType<typeof setTimeout> | null = null;
  private pageHidden = false;
  private readonly load = new LoadWatch();
  private lastTick = 0;
  private lags: number[] = [];
  private queued = false;
  private sent = "";

  constructor(readonly forced: Path | null, private readonly events: ScreenEvents<W>) {
    this.socket = new WallSocket<W>(
      {
        link: (up) => this.link(up),
        streams: (rows) => this.rows(rows),
        missed: (rows) => {
          for (const row of rows) this.missedFrames += row.frames;
        },
        windows: (rows) => this.events.windows(rows),
        alarms: (rows) => this.events.alarms(rows),
        problem: (problem) => this.events.problem(problem),
        frame: (message) => this.frame(message),
      },
      {
        open: () => {
          const { protocol, host } = globalThis.location;
          return new WebSocket(`${protocol === "https:" ? "wss" : "ws"}://${host}/api/v1/wall`);
        },
        after: (ms, act) => {
          const timer = setTimeout(act, ms);
          return () => clearTimeout(timer);
        },
      },
    );
    this.eyes = new IntersectionObserver((entries) => {
      for (const entry of entries) this.byRoot.get(entry.target)?.seen(entry.isIntersecting);
    });
  }

  start(): void {
    this.socket.start();
    this.lastTick = performance.now();
    this.timer = setInterval(() => {
      const now = Date.now();
      for (const tile of this.tiles.values()) tile.tick(now);
      this.watchLoad();
    }, TICK_MS);
    document.addEventListener("visibilitychange", this.visibility);
  }

  stop(): void {
    this.socket.stop();
    if (this.timer !== null) clearInterval(this.timer);
    if (this.hiddenTimer !== null) clearTimeout(this.hiddenTimer);
    document.removeEventListener("visibilitychange", this.visibility);
    this.eyes.disconnect();
    for (const tile of this.tiles.values()) tile.destroy();
    this.tiles.clear();
    this.streams.clear();
  }

  hang(options: TileOptions): Tile {
    const tile = new Tile(this, options);
    this.tiles.set(tile.id, tile);
    this.byRoot.set(options.root, tile);
    this.eyes.observe(options.root);
    this.rewatch();
    return tile;
  }

  take(tile: Tile): void {
    if (this.byRoot.get(tile.options.root) === tile) {
      this.eyes.unobserve(tile.options.root);
      this.byRoot.delete(tile.options.root);
    }
    this.tiles.delete(tile.id);
    tile.destroy();
    this.rewatch();
  }

  get shed(): Shed {
    return this.load.level;
  }

  /** Once a second: how late this page's own timer is, and what the media elements dropped. */
  private watchLoad(): void {
    const now = performance.now();
    this.lags.push(Math.max(0, now - this.lastTick - TICK_MS));
    this.lastTick = now;
    if (this.lags.length < TICKS_PER_LOOK) return;
    const lagMs = this.lags.reduce((sum, lag) => sum + lag, 0) / this.lags.length;
    this.lags = [];
    // A hidden page's timers are slowed by the browser, and whoever forces a way wants to see that one.
    if (document.visibilityState !== "visible" || this.forced !== null) return;
    let [shown, dropped] = [0, 0];
    const steps = new Set<Shed>();
    for (const tile of this.tiles.values()) {
      const frames = tile.countFrames();
      shown += frames.shown;
      dropped += frames.dropped;
      for (const step of tile.steps) steps.add(step);
    }
    if (this.load.take({ lagMs, shown, dropped }, [...steps].sort())) {
      this.rewatch();
      this.events.shed(this.load.level);
    }
  }

  /** A tile that shows this camera now, if there is one. */
  showing(camera: string): Tile | null {
    for (const tile of this.tiles.values()) if (tile.options.camera === camera) return tile;
    return null;
  }

  replay(stream: number, tile: Tile): void {
    const known = this.streams.get(stream);
    if (known === undefined) return;
    // Delayed: the tile is still sitting down.
    queueMicrotask(() => {
      if (!tile.listensTo(stream)) return;
      if (known.parameters !== null) tile.take(known.parameters, Date.now());
      const key = known.lastKey;
      if (key !== null && (key.tier === "key" || key.tier === "still")) tile.take(key, known.lastKeyArrived);
    });
  }

  /** The watch set has changed; it is sent once per turn however many tiles changed. */
  rewatch(): void {
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      this.send();
    });
  }

  private send(): void {
    const set: Watch[] = [];
    if (!this.pageHidden) for (const tile of this.tiles.values()) if (tile.wanted !== null) set.push(tile.wanted);
    const text = JSON.stringify(set);
    if (text === this.sent) return;
    this.sent = text;
    this.socket.watch(set);
  }

  private readonly visibility = () => {
    if (document.visibilityState === "visible") {
      if (this.hiddenTimer !== null) clearTimeout(this.hiddenTimer);
      this.hiddenTimer = null;
      this.pageHidden = false;
      this.rewatch();
    } else if (this.hiddenTimer === null) {
      this.hiddenTimer = setTimeout(() => {
        this.hiddenTimer = null;
        this.pageHidden = true;
        this.rewatch();
      }, 5000);
    }
  };

  private link(up: boolean): void {
    this.linkUp = up;
    if (!up) {
      this.streams.clear();
      for (const tile of this.tiles.values()) tile.unlink();
    }
    this.events.link(up);
  }

  private rows(rows: StreamRow[]): void {
    for (const row of rows) this.tiles.get(row.tile)?.applyRow(row);
  }

  private frame(message: FrameMessage): void {
    const arrived = Date.now();
    if (message.kind === KIND_END) {
      this.streams.delete(message.stream);
    } else {
      let stream = this.streams.get(message.stream);
      if (stream === undefined) {
        if (this.streams.size >= MAX_STREAMS) this.forgetOne();
        stream = { parameters: null, lastKey: null, lastKeyArrived: 0 };
        this.streams.set(message.stream, stream);
      }
      if (message.kind === KIND_PARAMETERS) {
        stream.parameters = message;
        stream.lastKey = null;
      } else if (message.key) {
        stream.lastKey = message;
        stream.lastKeyArrived = arrived;
      }
    }
    for (const tile of this.tiles.values()) if (tile.listensTo(message.stream)) tile.take(message, arrived);
  }

  private forgetOne(): void {
    for (const stream of this.streams.keys()) {
      if (![...this.tiles.values()].some((t) => t.listensTo(stream))) {
        this.streams.delete(stream);
        return;
      }
    }
  }
}
