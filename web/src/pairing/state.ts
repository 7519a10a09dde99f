// What the technician's pages know of their hall: the visit with its countdown, positions with the age of what is shown,
// live readings, and whether the hall answers. One for each open set of pages; never a secret, never a device's own logic.

import { computed, inject, onScopeDispose, provide, ref, shallowRef, type InjectionKey } from "vue";
import { ApiProblem } from "../api/http";
import { Door } from "./door";
import type { HallAnswer, Live, Position, Visit } from "./model";

/** Past this age what is shown is greyed. */
export const STALE_MS = 15_000;
const VISIT_MS = 2_500;
const POSITIONS_MS = 4_000;
const KEPT_LIVE = 200;
/** How long something heard is shown as happening. */
const JUST_MS = 3_000;

/** Monotonic milliseconds: a phone's clock may be wrong or be set meanwhile. */
const mono = () => performance.now();

export function createPairing(door: Door) {
  const hall = shallowRef<HallAnswer | null>(null);
  const positions = shallowRef<Position[] | null>(null);
  const positionsAt = ref<number | null>(null);
  const visit = shallowRef<Visit | null>(null);
  /** Whether it has been asked at all whether a visit is open. */
  const visitKnown = ref(false);
  const live = shallowRef<Live[]>([]);
  /** Position or candidate → when it was last heard, on this page's own clock. */
  const heardAt = shallowRef(new Map<string, number>());
  /** Since when nothing could be reached; null while all is well. */
  const lostAt = ref<number | null>(null);
  const tick = ref(mono());
  let endsAt = 0;
  let disposed = false;

  const open = computed(() => visit.value !== null && visit.value.closed === null && leftMs.value > 0);
  const leftMs = computed(() => (visit.value === null || visit.value.closed ? 0 : Math.max(0, endsAt - tick.value)));
  /** Whether the open visit is this technician's own. */
  const mine = computed(() => open.value && (hall.value === null || visit.value?.technician === hall.value.technician.name));
  const positionsAge = computed(() => (positionsAt.value === null ? null : Math.max(0, tick.value - positionsAt.value)));
  const stale = computed(() => positionsAge.value !== null && positionsAge.value > STALE_MS);

  /** Runs a question and keeps note of whether the hall was reached. */
  async function reach<T>(question: () => Promise<T>): Promise<T> {
    try {
      const answer = await question();
      lostAt.value = null;
      return answer;
    } catch (error) {
      const unreachable = error instanceof ApiProblem && (error.status === 0 || error.status === 503 || error.status === 504);
      if (unreachable) lostAt.value ??= mono();
      else lostAt.value = null;
      throw error;
    }
  }

  function take(next: Visit): Visit {
    if (visit.value?.id !== next.id) {
      live.value = [];
      heardAt.value = new Map();
    }
    visit.value = next;
    visitKnown.value = true;
    tick.value = mono();
    endsAt = tick.value + next.left_ms;
    return next;
  }

  /** Whether a position or candidate spoke within the last seconds. */
  function justHeard(who: string): boolean {
    const at = heardAt.value.get(who);
    return at !== undefined && tick.value - at < JUST_MS;
  }

  async function refreshHall(): Promise<void> {
    hall.value = await reach(() => door.hall());
  }

  async function refreshPositions(): Promise<void> {
    const list = await reach(() => door.positions());
    positions.value = list.items;
    positionsAt.value = mono();
  }

  /** The open visit, or none; a visit that ended stays shown as ended. */
  async function refreshVisit(): Promise<void> {
    try {
      take(await reach(() => door.visit()));
    } catch (error) {
      if (!(error instanceof ApiProblem && error.code === "no-visit")) throw error;
      visitKnown.value = true;
      if (visit.value && !visit.value.closed) visit.value = { ...visit.value, left_ms: 0, closed: { at: new Date().toISOString(), why: "expired" } };
    }
  }

  /** Does something that answers the visit. */
  async function act(question: () => Promise<Visit>): Promise<Visit> {
    return take(await reach(question));
  }

  /** Follows live readings until `signal`; errors are waited out, since the visit's own poll shows them. */
  async function followLive(signal: AbortSignal): Promise<void> {
    let after = live.value.at(-1)?.n ?? 0;
    let first = after === 0;
    while (!signal.aborted && !disposed) {
      try {
        const answer = await door.live(after, signal);
        after = answer.next;
        if (answer.items.length > 0) {
          live.value = [...live.value, ...answer.items].slice(-KEPT_LIVE);
          // What was there before the page asked is not happening now.
          if (!first) {
            const next = new Map(heardAt.value);
            for (const item of answer.items) for (const who of [item.position, item.candidate]) if (who) next.set(who, mono());
            heardAt.value = next;
          }
        }
        first = false;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiProblem && error.code === "no-visit") return;
        await new Promise((done) => setTimeout(done, 1_500));
      }
    }
  }

  const timers = [setInterval(() => {
    tick.value = mono();
    if (visit.value && !visit.value.closed && endsAt <= tick.value && endsAt > tick.value - 1_000) void refreshVisit().catch(() => undefined);
  }, 500)];

  function dispose() {
    disposed = true;
    timers.forEach(clearInterval);
  }

  return {
    door, hall, positions, positionsAt, positionsAge, stale, visit, visitKnown, live, lostAt, heardAt, tick, open, leftMs, mine,
    reach, take, act, justHeard, refreshHall, refreshPositions, refreshVisit, followLive, dispose,
  };
}

export type Pairing = ReturnType<typeof createPairing>;

const KEY: InjectionKey<Pairing> = Symbol("pairing");

/** How to leave, where that is for these pages to do. */
export const LEAVE: InjectionKey<() => void> = Symbol("leave");

export function providePairing(pairing: Pairing): void {
  provide(KEY, pairing);
}

export function usePairing(): Pairing {
  const pairing = inject(KEY);
  if (!pairing) throw new Error("a pairing page outside its shell");
  return pairing;
}

/** Asks now and again while the page is open and seen; one question at a time. */
export function useEvery(ms: number, ask: () => Promise<unknown>, onProblem?: (problem: unknown) => void): { now: () => void } {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let over = false;
  const round = async () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (!document.hidden) {
      try {
        await ask();
        onProblem?.(null);
      } catch (problem) {
        onProblem?.(problem);
      }
    }
    if (!over) timer = setTimeout(round, ms);
  };
  void round();
  onScopeDispose(() => {
    over = true;
    if (timer !== null) clearTimeout(timer);
  });
  return { now: () => void round() };
}

/** Keeps the visit fresh while a page of it is open. */
export function useVisit(): void {
  const pairing = usePairing();
  useEvery(VISIT_MS, () => pairing.refreshVisit());
}

/** Keeps positions fresh while a page with them is open. */
export function usePositions(onProblem?: (problem: unknown) => void): { now: () => void } {
  const pairing = usePairing();
  return useEvery(POSITIONS_MS, () => pairing.refreshPositions(), onProblem);
}

/** Shows live readings while a page with them is open. */
export function useLive(): void {
  const pairing = usePairing();
  const abort = new AbortController();
  onScopeDispose(() => abort.abort());
  void (async () => {
    while (!abort.signal.aborted) {
      await pairing.followLive(abort.signal);
      if (!abort.signal.aborted) await new Promise((done) => setTimeout(done, 1_500));
    }
  })();
}
