// A list that the centre sorts, filters and pages: asked anew when its conditions change, added to page by page, and
// refreshed in place. An answer that comes after a newer question is dropped.

import { ref, shallowRef, watch } from "vue";
import { api, type Query } from "../api/http";
import type { List } from "../api/model";
import { serverNow } from "../video/serverclock";

/** The most rows the centre gives at once. */
const MOST = 5000;

export function useServerList<T>(path: string, conditions: () => Query | null, page = 50) {
  const rows = shallowRef<T[]>([]);
  const next = ref<string | null>(null);
  const problem = shallowRef<unknown>(null);
  const busy = ref(false);
  const loaded = ref(false);
  const at = ref<number | null>(null);
  let round = 0;

  async function read(limit: number, after: string | null): Promise<void> {
    const asked = conditions();
    if (asked === null) return;
    const mine = ++round;
    busy.value = true;
    try {
      const list = await api.get<List<T>>(path, { ...asked, limit, after });
      if (mine !== round) return;
      rows.value = after === null ? list.items : [...rows.value, ...list.items];
      next.value = list.next === null || list.next === undefined ? null : String(list.next);
      loaded.value = true;
      at.value = serverNow();
      problem.value = null;
    } catch (error) {
      if (mine === round) problem.value = error;
    } finally {
      if (mine === round) busy.value = false;
    }
  }
  /** From the beginning. */
  const load = () => read(page, null);
  /** The page behind what is shown. */
  const more = () => (next.value === null ? Promise.resolve() : read(page, next.value));
  /** As much as is shown, as it is now. */
  const refresh = () => read(Math.min(MOST, Math.max(page, rows.value.length)), null);

  watch(() => JSON.stringify(conditions()), (now, before) => {
    if (now !== before) void load();
  }, { immediate: true });
  return { rows, next, problem, busy, loaded, at, load, more, refresh };
}
