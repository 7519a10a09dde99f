// The last resort: JPEG pictures from the hall, for codecs that no browser here decodes. Draws into a canvas (not an
// <img>), so that the content policy needs no blob: pictures.

import type { FrameMessage } from "./frame";
import type { Player, PlayerEvents } from "./player";

export class StillPlayer implements Player {
  readonly path = "still" as const;
  readonly element = document.createElement("canvas");
  private readonly context = this.element.getContext("2d", { alpha: false });
  private busy = false;
  private waiting: { message: FrameMessage; arrivedMs: number } | null = null;
  private dead = false;
  private failures = 0;

  constructor(private readonly events: PlayerEvents) {}

  parameters(): void {}

  frame(message: FrameMessage, arrivedMs: number): void {
    if (this.dead) return;
    this.waiting = { message, arrivedMs };
    if (!this.busy) void this.decode();
  }

  tick(): void {}

  destroy(): void {
    this.dead = true;
    this.element.remove();
  }

  private async decode(): Promise<void> {
    this.busy = true;
    while (this.waiting !== null && !this.dead) {
      const { message, arrivedMs } = this.waiting;
      this.waiting = null;
      try {
        const picture = await createImageBitmap(new Blob([message.payload as BlobPart], { type: "image/jpeg" }));
        if (!this.dead) {
          this.element.width = picture.width;
          this.element.height = picture.height;
          this.context?.drawImage(picture, 0, 0);
          this.failures = 0;
          this.events.drawn({ capturedMs: message.capturedUs / 1000, arrivedMs });
        }
        picture.close();
      } catch (error) {
        this.failures += 1;
        if (this.failures >= 3 && !this.dead) this.events.failed(error instanceof Error ? error.message : String(error));
      }
    }
    this.busy = false;
  }
}
