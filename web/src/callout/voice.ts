// Speaks calls with the clips that lie beside this file, one after the other, never two at once. Owns the audio and the line
// of waiting calls; knows no network but the clips' own addresses.

import { callClips } from "./words";

const files = import.meta.glob<string>("./clips/*.ogg", { query: "?url", import: "default", eager: true });
const clips = new Map(Object.entries(files).map(([path, url]) => [path.slice(path.lastIndexOf("/") + 1, -".ogg".length), url]));

/** Between two words, and before a call is said a second time. */
const WORD_GAP_S = 0.02;
const AGAIN_GAP_S = 0.7;
/** Calls that wait to be spoken; the oldest give way, the screen shows them all the same. */
const MOST_WAITING = 6;

export class Voice {
  private context: AudioContext | null = null;
  private readonly decoded = new Map<string, Promise<AudioBuffer>>();
  private waiting: { id: string; clips: string[] }[] = [];
  private busy = false;

  /** Told of each call as it begins to be spoken; null when all is quiet. */
  constructor(private readonly speaking: (id: string | null) => void) {}

  /** Whether sound may be played: browsers ask for a touch first unless they are set up as a kiosk. */
  get on(): boolean {
    return this.context?.state === "running";
  }

  /** Turns the sound on; to be called from a touch where the browser wants one. */
  async wake(): Promise<boolean> {
    this.context ??= new AudioContext();
    if (this.context.state !== "running") await Promise.race([this.context.resume(), new Promise((done) => setTimeout(done, 500))]);
    if (this.on) {
      void Promise.all([...clips.keys()].map((name) => this.buffer(name))).catch(() => undefined);
      void this.run();
    }
    return this.on;
  }

  /** Puts a call in line. */
  say(id: string, number: string, window: number): void {
    this.waiting.push({ id, clips: callClips(number, window) });
    this.waiting = this.waiting.slice(-MOST_WAITING);
    void this.run();
  }

  private buffer(name: string): Promise<AudioBuffer> {
    let found = this.decoded.get(name);
    if (!found) {
      const url = clips.get(name);
      found = url
        ? fetch(url).then((answer) => answer.arrayBuffer()).then((bytes) => this.context!.decodeAudioData(bytes))
        : Promise.reject(new Error(`no clip ${name}`));
      found.catch(() => this.decoded.delete(name));
      this.decoded.set(name, found);
    }
    return found;
  }

  private async run(): Promise<void> {
    if (this.busy || !this.on) return;
    this.busy = true;
    try {
      for (let call = this.waiting.shift(); call; call = this.waiting.shift()) {
        this.speaking(call.id);
        const words = (await Promise.all(call.clips.map((name) => this.buffer(name).catch(() => null)))).filter((b) => b !== null);
        await this.play(words);
        await this.play(words.slice(1), AGAIN_GAP_S);
      }
    } finally {
      this.busy = false;
      this.speaking(null);
    }
  }

  /** Plays clips back to back on the audio clock. */
  private play(words: AudioBuffer[], after = 0): Promise<void> {
    const context = this.context;
    if (!context || words.length === 0) return Promise.resolve();
    let at = context.currentTime + 0.05 + after;
    let last: AudioBufferSourceNode | null = null;
    for (const word of words) {
      last = context.createBufferSource();
      last.buffer = word;
      last.connect(context.destination);
      last.start(at);
      at += word.duration + WORD_GAP_S;
    }
    const whole = (at - context.currentTime) * 1000;
    return new Promise((done) => {
      last!.onended = () => done();
      // A sound card that vanished ends nothing.
      setTimeout(done, whole + 2_000);
    });
  }
}

/** Every clip a call may need is there: for tests. */
export function hasClip(name: string): boolean {
  return clips.has(name);
}
