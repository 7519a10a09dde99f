// Several clips of one time, shown in step: one moment of wall time, every video at its own place of it. Owns the pace of
// the videos it is given, not the elements. Outside Vue's reactivity; the frame callback and the clock come with the page.

import { toMedia, toWall, type Clip } from "./clip";

export const SPEEDS = [0.5, 1, 2, 4, 8] as const;

/** What a reel needs of a video. */
export interface Screenlet {
  currentTime: number;
  playbackRate: number;
  readonly duration: number;
  readonly paused: boolean;
  readonly seeking: boolean;
  readonly ended: boolean;
  readonly readyState: number;
  play(): Promise<void>;
  pause(): void;
}

/** Further off than this a video is put in its place; nearer, its pace is nudged. Seconds. */
const FAR_S = 0.3;
const NEAR_S = 0.04;
const NUDGE = 0.08;
const HAVE_FUTURE_DATA = 3;
/** The length of a frame until one has been measured, s. */
const FRAME_S = 0.04;

interface Track {
  clip: Clip;
  video: Screenlet;
  frameS: number;
  lastFrameAt: number | null;
}

export class Reel {
  private readonly tracks = new Map<string, Track>();
  private speed = 1;
  private running = false;
  private at: number;

  /** `fromMs` to `toMs`: the whole of it, wall time. */
  constructor(private fromMs: number, private toMs: number, atMs: number) {
    this.at = this.clamp(atMs);
  }

  get wallMs(): number {
    return this.at;
  }

  get playing(): boolean {
    return this.running;
  }

  get rate(): number {
    return this.speed;
  }

  setBounds(fromMs: number, toMs: number): void {
    this.fromMs = fromMs;
    this.toMs = toMs;
    this.at = this.clamp(this.at);
  }

  add(camera: string, clip: Clip, video: Screenlet): void {
    this.tracks.set(camera, { clip, video, frameS: FRAME_S, lastFrameAt: null });
    video.playbackRate = this.speed;
    this.place(this.tracks.get(camera)!);
    if (this.running) void video.play().catch(() => undefined);
  }

  remove(camera: string): void {
    this.tracks.get(camera)?.video.pause();
    this.tracks.delete(camera);
  }

  setSpeed(speed: number): void {
    this.speed = Math.min(8, Math.max(0.5, speed));
    for (const track of this.tracks.values()) track.video.playbackRate = this.speed;
  }

  play(): void {
    if (this.at >= this.toMs - 50) this.seek(this.fromMs);
    this.running = true;
    for (const track of this.tracks.values()) if (this.covers(track)) void track.video.play().catch(() => undefined);
  }

  pause(): void {
    this.running = false;
    for (const track of this.tracks.values()) track.video.pause();
  }

  seek(wallMs: number): void {
    this.at = this.clamp(wallMs);
    for (const track of this.tracks.values()) this.place(track);
  }

  /** One picture on or back. */
  step(by: 1 | -1): void {
    this.pause();
    const shown = [...this.tracks.values()].find((track) => this.covers(track));
    this.seek(this.at + by * (shown?.frameS ?? FRAME_S) * 1000);
  }

  /** A picture of a camera is on the screen: its media time, seconds. Teaches how long a frame is. */
  frame(camera: string, mediaTime: number): void {
    const track = this.tracks.get(camera);
    if (track === undefined) return;
    const step = track.lastFrameAt === null ? 0 : mediaTime - track.lastFrameAt;
    if (step > 0.005 && step < 0.5) track.frameS = step;
    track.lastFrameAt = mediaTime;
  }

  /** Moves time on by `passedMs` of the page's clock and keeps the videos in step; gives the moment. */
  tick(passedMs: number): number {
    if (!this.running) return this.at;
    const lead = this.lead();
    if (lead !== null) {
      // The footage leads: while it loads, time stands.
      this.at = this.clamp(toWall(lead.clip, lead.video.currentTime));
    } else if (![...this.tracks.values()].some((track) => this.covers(track))) {
      this.at = this.clamp(this.at + passedMs * this.speed);
    }
    for (const track of this.tracks.values()) if (track !== lead) this.align(track);
    if (this.at >= this.toMs) this.pause();
    return this.at;
  }

  /** The first video that covers this moment and plays it. */
  private lead(): Track | null {
    for (const track of this.tracks.values()) {
      if (this.covers(track) && !track.video.seeking && !track.video.paused && track.video.readyState >= HAVE_FUTURE_DATA) return track;
    }
    return null;
  }

  private covers({ clip, video }: Track): boolean {
    const at = toMedia(clip, this.at);
    return at >= 0 && !video.ended && (Number.isNaN(video.duration) || at < video.duration);
  }

  private place({ clip, video }: Track): void {
    const at = Math.max(0, toMedia(clip, this.at));
    if (Math.abs(video.currentTime - at) > 0.001) video.currentTime = at;
  }

  private align(track: Track): void {
    const { clip, video } = track;
    if (!this.covers(track)) {
      if (!video.paused) video.pause();
      // Ready for when its footage begins.
      if (toMedia(clip, this.at) < 0 && video.currentTime > FAR_S) video.currentTime = 0;
      return;
    }
    if (video.paused) void video.play().catch(() => undefined);
    if (video.seeking) return;
    const off = toMedia(clip, this.at) - video.currentTime;
    if (Math.abs(off) > FAR_S * Math.max(1, this.speed)) video.currentTime = toMedia(clip, this.at);
    else video.playbackRate = this.speed * (Math.abs(off) < NEAR_S ? 1 : off > 0 ? 1 + NUDGE : 1 - NUDGE);
  }

  private clamp(wallMs: number): number {
    return Math.min(this.toMs, Math.max(this.fromMs, wallMs));
  }
}
