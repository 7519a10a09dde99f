// The order of a wall's cameras: the tree's, or by risk. By risk it is judged anew only when the page says so, so that
// tiles do not change places under somebody's eyes.

import { shallowRef, watch, type Ref } from "vue";
import type { Camera, WindowState } from "../api/model";
import type { Order } from "./patrol";
import { byRisk } from "./risk";

export function useOrder(cameras: Ref<Camera[]>, order: Ref<Order>, states: ReadonlyMap<string, WindowState>, now: () => number) {
  const ordered = shallowRef<Camera[]>([]);

  /** By risk as it is now. */
  function judge(): void {
    ordered.value = order.value === "risk" ? byRisk(cameras.value, states, now()) : cameras.value;
  }
  watch([cameras, order], ([list, how], before) => {
    const known = new Map(ordered.value.map((camera, at) => [camera.id, at]));
    const same = before[1] === how && list.length === known.size && list.every((camera) => known.has(camera.id));
    // The same cameras with newer rows stay where they are.
    if (how === "risk" && same) ordered.value = [...list].sort((a, b) => known.get(a.id)! - known.get(b.id)!);
    else judge();
  }, { immediate: true });
  return { ordered, judge };
}
