// What a tile asks of any way of showing pictures. A player owns one element and draws what it is given; it knows
// neither sockets nor tiles, and tells when a picture is really on the screen.

import type { FrameMessage } from "./frame";

export type Path = "mse" | "webcodecs" | "still";

/** A picture that is on the screen: when the hall captured it, and when this page received it (page clock, ms). */
export interface Shown {
  capturedMs: number;
  arrivedMs: number;
}

export interface PlayerEvents {
  drawn(shown: Shown): void;
  /** The player cannot go on; the tile chooses another way. */
  failed(reason: string): void;
}

export interface Player {
  readonly path: Path;
  readonly element: HTMLVideoElement | HTMLCanvasElement;
  parameters(record: Uint8Array, codec: string, width: number, height: number): void;
  frame(message: FrameMessage, arrivedMs: number): void;
  /** Called a few times a second: chases the live edge, trims. */
  tick(): void;
  destroy(): void;
}
