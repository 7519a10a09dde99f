// One tile: which stream it wants, which player shows it and what it says of itself. Double-buffered: a new player works
// beneath the old picture until its first frame is on the screen. Owns its players and its element's `data-` attributes;
// lives outside Vue's reactivity.

import { Comeback } from "./comeback";
import { avcCodec, KIND_END, KIND_PARAMETERS, type FrameMessage, type Tier } from "./frame";
import { MsePlayer, mseSupports } from "./mse";
import type { Shed } from "./loadwatch";
import type { Path, Player, Shown } from "./player";
import { serverNow } from "./serverclock";
import { StillPlayer } from "./stills";
import { judge, pictureAgeMs, staleAfterMs, type StreamRow, type TileState, type Verdict } from "./tilestate";
import { WebCodecsPlayer, webcodecsHere } from "./webcodecs";

export interface TileOptions {
  /** The tile's element: carries the `data-` attributes. */
  root: HTMLElement;
  /** Where pictures go, inside it. */
  stage: HTMLElement;
  slot: number;
  camera: string | null;
  window: string | null;
  tier: Tier;
  /** Called when state, reason, path or shedding change; never for a mere frame. */
  changed(verdict: Verdict, path: Path | null, pathWhy: string | null, shed: boolean): void;
  /** Called a few times a second with the age of the picture. */
  aged?(ageMs: number | null, state: TileState): void;
}

interface Seat {
  player: Player;
  stream: number | null;
}

/** What the tile needs of the screen it hangs on. */
export interface TileHost {
  forced: Path | null;
  linkUp: boolean;
  /** How far the wall steps down because this machine does not keep up. */
  shed: Shed;
  /** Parameters and newest key frame already seen on a stream, handed to `tile`. */
  replay(stream: number, tile: Tile): void;
  rewatch(): void;
}

const HIDDEN_GRACE_MS = 5000;
const FAILURES_BEFORE_FALLBACK = 2;
const FAILURE_WINDOW_MS = 60_000;
const STEPS: Record<Tier, readonly Shed[]> = { main: [2], sub: [1, 3], key: [3], still: [] };

let nextId = 1;

export class Tile {
  /** The tile's number on the wire. A new one for every tile, so that a late answer never lands on another camera. */
  readonly id: number;
  row: StreamRow | null = null;
  private tier: Tier;
  private current: Seat | null = null;
  private pending: Seat | null = null;
  private shown: Shown | null = null;
  private frames = 0;
  private gopMs: number | null = null;
  private lastKeyPts: number | null = null;
  private hiddenSince: number | null = null;
  private asleep = false;
  private fallback: Path | null = null;
  private pathWhy: string | null = null;
  private failures: number[] = [];
  private readonly comeback = new Comeback();
  private heldRecord: { seat: Seat; record: Uint8Array } | null = null;
  private said = "";
  private counted: { element: HTMLVideoElement | null; all: number; dropped: number } = { element: null, all: 0, dropped: 0 };
  private readonly started = Date.now();

  constructor(private readonly host: TileHost, readonly options: TileOptions) {
    this.id = nextId;
    nextId = nextId >= 60_000 ? 1 : nextId + 1;
    this.tier = options.tier;
    const d = options.root.dataset;
    d["tile"] = String(options.slot);
    d["camera"] = options.camera ?? "";
    d["window"] = options.window ?? "";
    d["frames"] = "0";
    this.say();
  }

  /** The row of the watch set, or null when nothing is to be sent (no camera, or out of sight). */
  get wanted(): { tile: number; camera: string; tier: Tier } | null {
    if (this.options.camera === null || this.asleep) return null;
    return { tile: this.id, camera: this.options.camera, tier: this.wantedTier };
  }

  private get wantedTier(): Tier {
    const way = this.fallback ?? this.host.forced;
    if (way === "still") return "still";
    if (way === "webcodecs") return "key";
    const taken = this.steps.filter((step) => step <= this.host.shed).at(-1) ?? 0;
    return taken === 0 ? this.tier : taken === 3 ? "still" : "key";
  }

  /** The levels at which this tile makes do with less: the large one with key frames, the others with stills in the end. */
  get steps(): readonly Shed[] {
    if (this.options.camera === null || this.asleep || (this.fallback ?? this.host.forced) !== null) return [];
    return STEPS[this.tier];
  }

  /** Frames that the media element showed and dropped since the last call. */
  countFrames(): { shown: number; dropped: number } {
    const element = this.current?.player.element;
    if (!(element instanceof HTMLVideoElement) || !("getVideoPlaybackQuality" in element)) return { shown: 0, dropped: 0 };
    const { totalVideoFrames, droppedVideoFrames } = element.getVideoPlaybackQuality();
    const before = this.counted.element === element ? this.counted : { all: 0, dropped: 0 };
    this.counted = { element, all: totalVideoFrames, dropped: droppedVideoFrames };
    const dropped = Math.max(0, droppedVideoFrames - before.dropped);
    return { shown: Math.max(0, totalVideoFrames - before.all - dropped), dropped };
  }

  /** What is on the screen now, to be drawn elsewhere; null where there is nothing, or nothing one may see. */
  picture(): { source: HTMLVideoElement | HTMLCanvasElement; width: number; height: number; capturedMs: number } | null {
    const source = this.current?.player.element;
    if (source === undefined || this.shown === null || this.row?.state === "forbidden") return null;
    const [width, height] = source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
    return width > 0 && height > 0 ? { source, width, height, capturedMs: this.shown.capturedMs } : null;
  }

  /** The tile has moved to another place on the wall; its picture goes with it. */
  setSlot(slot: number): void {
    this.options.root.dataset["tile"] = String(slot);
  }

  setTier(tier: Tier): void {
    if (tier === this.tier) return;
    this.tier = tier;
    this.host.rewatch();
  }

  seen(visible: boolean): void {
    this.hiddenSince = visible ? null : (this.hiddenSince ?? Date.now());
    if (visible && this.asleep) {
      this.asleep = false;
      this.host.rewatch();
    }
  }

  applyRow(row: StreamRow): void {
    const before = this.row;
    this.row = row;
    if (row.state === "live" && (before?.state === "offline" || before?.state === "stale")) this.comeback.cameraBack(Date.now());
    if (row.state === "unsupported" && this.fallback !== "still" && this.wantedTier !== "still") {
      // While a way is tried again, the still before it stays, with its age.
      if (this.comeback.trying && before !== null) this.row = { ...before, stream: null };
      this.fallBack("still", row.why ?? "why.unsupported");
    } else if (row.stream !== null && row.state !== "forbidden" && row.state !== "unsupported") {
      // Bound before it is live, so that the first key frame already has a player.
      this.bind(row.stream);
      this.useHeldRecord();
    }
    this.say();
  }

  /** The link is down: streams have lost their numbers, pictures stay with their age. */
  unlink(): void {
    this.row = null;
    if (this.current !== null) this.current.stream = null;
    this.dropPending();
    this.say();
  }

  listensTo(stream: number): boolean {
    return this.current?.stream === stream || this.pending?.stream === stream;
  }

  take(message: FrameMessage, arrivedMs: number): void {
    if (message.kind === KIND_END) return;
    for (const seat of [this.current, this.pending]) {
      if (seat === null || seat.stream !== message.stream) continue;
      if (message.kind === KIND_PARAMETERS) this.parameters(seat, message.payload);
      else seat.player.frame(message, arrivedMs);
    }
    if (message.kind !== KIND_PARAMETERS && message.key) {
      if (this.lastKeyPts !== null) {
        const gop = (message.ptsUs - this.lastKeyPts) / 1000;
        if (gop > 100 && gop < 120_000) this.gopMs = gop;
      }
      this.lastKeyPts = message.ptsUs;
    }
  }

  tick(nowMs: number): void {
    this.current?.player.tick();
    this.pending?.player.tick();
    if (!this.asleep && this.hiddenSince !== null && nowMs - this.hiddenSince > HIDDEN_GRACE_MS) {
      this.asleep = true;
      this.host.rewatch();
    }
    if (!this.asleep && this.host.linkUp && this.comeback.due(nowMs)) this.tryAgain();
    this.say();
  }

  /** Draws another tile's picture into this one, so that there is never a black moment; it keeps its true age. */
  seedFrom(other: Tile): void {
    const from = other.current?.player.element;
    if (from === undefined || other.shown === null || this.shown !== null) return;
    const canvas = document.createElement("canvas");
    canvas.width = from instanceof HTMLVideoElement ? from.videoWidth : from.width;
    canvas.height = from instanceof HTMLVideoElement ? from.videoHeight : from.height;
    if (canvas.width === 0) return;
    canvas.getContext("2d")?.drawImage(from, 0, 0);
    this.options.stage.prepend(canvas);
    this.current = {
      stream: null,
      player: {
        path: other.current!.player.path, element: canvas,
        parameters: () => undefined, frame: () => undefined, tick: () => undefined, destroy: () => canvas.remove(),
      },
    };
    this.shown = other.shown;
  }

  destroy(): void {
    this.dropPending();
    this.current?.player.destroy();
    this.current = null;
  }

  private bind(stream: number): void {
    if (this.listensTo(stream)) return;
    this.dropPending();
    const way = this.way();
    if (way === null) return;
    this.lastKeyPts = null;
    const player = this.build(way);
    const seat: Seat = { player, stream };
    this.pending = seat;
    this.options.stage.append(player.element);
    this.host.replay(stream, this);
  }

  /** How the stream of the present row is to be shown. */
  private way(): Path | null {
    if (this.wantedTier === "still") return "still";
    const codec = this.row?.codec ?? null;
    const way = this.fallback ?? this.host.forced ?? (this.wantedTier === "key" && webcodecsHere() ? "webcodecs" : "mse");
    if (way === "webcodecs" && !webcodecsHere()) return "mse";
    if (way === "mse" && codec !== null && codec !== "" && !mseSupports(codec)) {
      this.fallBack("still", "why.codec");
      return null;
    }
    return way;
  }

  private build(way: Path): Player {
    const self: { player: Player | null } = { player: null };
    const events = {
      drawn: (shown: Shown) => this.drawn(self.player, shown),
      failed: (reason: string) => this.failed(self.player, reason),
    };
    if (way === "still") self.player = new StillPlayer(events);
    else if (way === "webcodecs") self.player = new WebCodecsPlayer(events);
    else self.player = new MsePlayer(this.wantedTier === "key" ? "newest" : "flow", events);
    return self.player;
  }

  private parameters(seat: Seat, record: Uint8Array): void {
    const codec = this.row?.codec || avcCodec(record);
    if (codec === null) {
      this.heldRecord = { seat, record };
      return;
    }
    this.heldRecord = null;
    if (seat.player.path === "mse" && !mseSupports(codec)) {
      this.fallBack("still", "why.codec");
      return;
    }
    seat.player.parameters(record, codec, this.row?.width ?? 0, this.row?.height ?? 0);
  }

  /** Parameters that came before the row that names their codec. */
  private useHeldRecord(): void {
    const held = this.heldRecord;
    if (held === null || !this.row?.codec) return;
    this.heldRecord = null;
    if (held.seat === this.pending || held.seat === this.current) this.parameters(held.seat, held.record);
  }

  private drawn(player: Player | null, shown: Shown): void {
    if (this.pending !== null && this.pending.player === player) {
      this.current?.player.destroy();
      this.current = this.pending;
      this.pending = null;
    } else if (this.current?.player !== player) {
      return;
    }
    this.shown = shown;
    this.frames += 1;
    this.options.root.dataset["frames"] = String(this.frames);
  }

  private failed(player: Player | null, reason: string): void {
    const seat = this.pending?.player === player ? this.pending : this.current?.player === player ? this.current : null;
    if (seat === null) return;
    const now = Date.now();
    this.failures = [...this.failures.filter((t) => now - t < FAILURE_WINDOW_MS), now];
    const stream = seat.stream;
    if (seat === this.pending) this.dropPending();
    else seat.stream = null; // the last picture stays until another is drawn
    if (this.failures.length >= FAILURES_BEFORE_FALLBACK) {
      this.failures = [];
      this.fallBack(player?.path === "webcodecs" ? "mse" : "still", reason);
    } else if (stream !== null) {
      this.bind(stream);
    }
  }

  private fallBack(way: Path, why: string): void {
    if (this.fallback === way) return;
    this.fallback = way;
    this.pathWhy = why;
    this.comeback.fell(Date.now());
    this.seatAnew(way === "still");
  }

  /** The reason for a fallback may be gone: the picture so far stays until the better way has one. */
  private tryAgain(): void {
    this.failures = [];
    const fromStills = this.fallback === "still";
    this.fallback = null;
    this.pathWhy = null;
    this.seatAnew(fromStills);
  }

  /** The way has changed. Stills are another stream, which the centre tells of; anything else goes on with this one. */
  private seatAnew(stills: boolean): void {
    this.dropPending();
    const stream = this.row?.stream ?? null;
    if (!stills && stream !== null) {
      if (this.current !== null) this.current.stream = null;
      this.bind(stream);
    }
    this.host.rewatch();
  }

  private dropPending(): void {
    this.pending?.player.destroy();
    this.pending = null;
  }

  private say(): void {
    const now = Date.now();
    const age = this.shown === null ? null : pictureAgeMs(this.shown, now, serverNow());
    const verdict = judge({
      hasCamera: this.options.camera !== null,
      // The socket is given a moment to open before the page calls itself offline.
      linkUp: this.host.linkUp || (this.shown === null && now - this.started < 3000),
      row: this.row,
      ageMs: age,
      arrivedAgoMs: this.shown === null ? null : now - this.shown.arrivedMs,
      staleAfterMs: staleAfterMs(this.wantedTier, this.gopMs),
    });
    const path = this.current?.player.path ?? null;
    const d = this.options.root.dataset;
    d["ageMs"] = age === null ? "" : String(Math.round(age));
    this.options.aged?.(age, verdict.state);
    const shed = this.steps.some((step) => step <= this.host.shed);
    const key = `${verdict.state}|${verdict.why}|${path}|${this.pathWhy}|${shed}`;
    if (key === this.said) return;
    this.said = key;
    d["state"] = verdict.state;
    d["path"] = path ?? "";
    d["shed"] = shed ? "1" : "";
    this.options.changed(verdict, path, this.pathWhy, shed);
  }
}
