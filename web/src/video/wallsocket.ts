// The page's one socket to the centre: sends the whole set that is watched, hands out what comes back, and dials again
// by itself. Owns the connection; knows neither tiles nor players. Socket and timers come in from outside.

import type { Alarm } from "../wall/alarms";
import { parseFrame, type FrameMessage, type Tier } from "./frame";
import type { StreamRow } from "./tilestate";

export interface Watch {
  tile: number;
  camera: string;
  tier: Tier;
}

export interface Problem {
  type?: string;
  title: string;
  status?: number;
  detail?: string;
}

export interface WallSocketEvents<W> {
  link(up: boolean, retryInMs: number | null): void;
  streams(rows: StreamRow[]): void;
  missed(rows: { stream: number; frames: number }[]): void;
  windows(rows: W[]): void;
  alarms(rows: Alarm[]): void;
  problem(problem: Problem): void;
  frame(message: FrameMessage): void;
}

export interface Surroundings {
  open(): WebSocket;
  after(ms: number, act: () => void): () => void;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 5000;
/** A socket that neither opens nor fails is dead. */
const OPEN_TIMEOUT_MS = 10_000;

export class WallSocket<W> {
  private socket: WebSocket | null = null;
  private watched: Watch[] = [];
  private retryMs = FIRST_RETRY_MS;
  private cancelTimer: (() => void) | null = null;
  private closed = false;

  constructor(private readonly events: WallSocketEvents<W>, private readonly around: Surroundings) {}

  start(): void {
    this.closed = false;
    this.dial();
  }

  /** The whole set that this page watches from now on. */
  watch(set: Watch[]): void {
    this.watched = set;
    this.send();
  }

  stop(): void {
    this.closed = true;
    this.cancelTimer?.();
    this.cancelTimer = null;
    const s = this.socket;
    this.socket = null;
    s?.close();
  }

  private dial(): void {
    this.cancelTimer?.();
    const s = this.around.open();
    s.binaryType = "arraybuffer";
    this.socket = s;
    this.cancelTimer = this.around.after(OPEN_TIMEOUT_MS, () => s.close());
    s.onopen = () => {
      if (this.socket !== s) return;
      this.cancelTimer?.();
      this.cancelTimer = null;
      this.retryMs = FIRST_RETRY_MS;
      this.events.link(true, null);
      this.send();
    };
    s.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      if (this.socket === s) this.receive(event.data);
    };
    s.onclose = () => {
      if (this.socket !== s) return;
      this.socket = null;
      this.cancelTimer?.();
      this.cancelTimer = null;
      if (this.closed) return;
      const wait = this.retryMs;
      this.retryMs = Math.min(LAST_RETRY_MS, this.retryMs * 2);
      this.events.link(false, wait);
      this.cancelTimer = this.around.after(wait, () => this.dial());
    };
  }

  private send(): void {
    if (this.socket?.readyState !== 1) return;
    this.socket.send(JSON.stringify({ watch: this.watched, states: true, alarms: true }));
  }

  private receive(data: ArrayBuffer | string): void {
    if (typeof data !== "string") {
      const message = parseFrame(data);
      if (message !== null) this.events.frame(message);
      return;
    }
    let said: Record<string, unknown>;
    try {
      said = JSON.parse(data) as Record<string, unknown>;
    } catch {
      return;
    }
    if (Array.isArray(said["streams"])) this.events.streams(said["streams"] as StreamRow[]);
    if (Array.isArray(said["missed"])) this.events.missed(said["missed"] as { stream: number; frames: number }[]);
    if (Array.isArray(said["windows"])) this.events.windows(said["windows"] as W[]);
    if (Array.isArray(said["alarms"])) this.events.alarms(said["alarms"] as Alarm[]);
    if (said["error"] !== undefined && said["error"] !== null) this.events.problem(said["error"] as Problem);
  }
}
