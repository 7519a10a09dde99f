// Follows the hall's calls (server-sent events), newest last; says whether the line stands. The browser dials again by itself.

export interface Call {
  id: string;
  number: string;
  window: number;
  window_name: string;
  kind: "call" | "recall";
  at: string;
}

const KEPT = 8;

/** The calls shown after `call` came: the newest of each ticket, at most eight. */
export function shown(before: Call[], call: Call): Call[] {
  return [...before.filter((one) => one.id !== call.id && one.number !== call.number), call].slice(-KEPT);
}

export function followCalls(on: { recent: (calls: Call[]) => void; call: (call: Call) => void; link: (up: boolean) => void }): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const told = new Set<string>();
  const dial = () => {
    source = new EventSource("/api/v1/callout");
    source.onopen = () => on.link(true);
    source.onerror = () => {
      on.link(false);
      // After an answer that was no stream the browser gives up; this screen never does.
      if (source?.readyState === EventSource.CLOSED) timer = setTimeout(dial, 3_000);
    };
    source.addEventListener("recent", (event) => {
      const { calls } = JSON.parse((event as MessageEvent<string>).data) as { calls: Call[] };
      calls.forEach((call) => told.add(call.id));
      on.recent(calls);
    });
    source.addEventListener("call", (event) => {
      const call = JSON.parse((event as MessageEvent<string>).data) as Call;
      if (told.has(call.id)) return;
      told.add(call.id);
      on.call(call);
    });
  };
  dial();
  return () => {
    source?.close();
    if (timer !== null) clearTimeout(timer);
  };
}
