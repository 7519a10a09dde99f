// The patrol of a wall page: the clock of patrol.ts bound to a page and its address.

import { computed, onBeforeUnmount, ref, watch, type Ref } from "vue";
import { inHours, nextBegin, PatrolClock, type PatrolPlan } from "./patrol";

const TICK_MS = 250;
/** The next page gets ready so long before its turn, so that it comes without a black moment. */
const AHEAD_MS = 3500;

export interface PatrolOf {
  plan: Ref<PatrolPlan>;
  on: Ref<boolean>;
  page: Ref<number>;
  pages: Ref<number>;
  /** A window is open large, or somebody replays: nobody's page is turned away from them. */
  busy: Ref<boolean>;
  turn(page: number): void;
}

export function usePatrol(of: PatrolOf) {
  const clock = new PatrolClock();
  const paused = ref(false);
  const leftS = ref(0);
  const inTime = ref(true);
  const begins = ref<Date | null>(null);
  const ahead = ref(false);
  const next = computed(() => (of.page.value >= of.pages.value ? 1 : of.page.value + 1));
  const running = computed(() => of.on.value && !paused.value && inTime.value && !of.busy.value && of.pages.value > 1);

  const tick = () => {
    const now = new Date();
    inTime.value = inHours(of.plan.value.hours, now);
    if (!of.on.value) {
      ahead.value = false;
      return;
    }
    if (!inTime.value && begins.value === null) begins.value = nextBegin(of.plan.value.hours, now);
    else if (inTime.value) begins.value = null;
    const due = clock.step(now.getTime(), running.value);
    leftS.value = Math.ceil(clock.leftMs / 1000);
    ahead.value = running.value && clock.leftMs <= AHEAD_MS;
    if (due) of.turn(next.value);
  };
  const timer = setInterval(tick, TICK_MS);
  onBeforeUnmount(() => clearInterval(timer));

  const restart = () => {
    clock.restart(of.plan.value.dwell);
    ahead.value = false;
  };
  watch([of.page, of.pages, of.on, () => of.plan.value.dwell], restart, { immediate: true });
  watch(() => of.plan.value.hours, () => {
    begins.value = null;
  });
  watch(of.on, (on) => {
    if (!on) paused.value = false;
  });
  return { paused, leftS, inTime, begins, ahead, next, running };
}
