// The tree below the signed-in person: areas, halls, windows and cameras, with their counts. Owns what the tree and the
// wall read; window states arrive here from the wall socket.

import { defineStore } from "pinia";
import { computed, ref, shallowReactive, shallowRef, triggerRef } from "vue";
import { api } from "../api/http";
import type { Area, Camera, Counts, Hall, HallWindow, WindowState } from "../api/model";
import { rollUp, type Place } from "./tree";

export const usePlaces = defineStore("places", () => {
  const areas = shallowRef<Area[]>([]);
  const halls = shallowRef<Hall[]>([]);
  const cameras = shallowRef<Camera[]>([]);
  /** Windows of each hall asked for so far, in order. */
  const windows = shallowRef(new Map<string, string[]>());
  const states = shallowReactive(new Map<string, WindowState>());
  const loaded = ref(false);
  const loadedAt = ref<number | null>(null);
  const problem = shallowRef<unknown>(null);
  const tree = computed<Place[]>(() => rollUp(areas.value, halls.value, cameras.value));
  const byId = computed(() => new Map(tree.value.map((place) => [place.id, place])));

  /** Reads the whole tree; called at start and every few seconds for the counts. */
  async function refresh(): Promise<void> {
    try {
      const [a, h, c] = await Promise.all([
        api.all<Area>("/areas"), api.all<Hall>("/halls"), api.all<Camera>("/cameras"),
      ]);
      areas.value = a;
      halls.value = h;
      cameras.value = c;
      loaded.value = true;
      loadedAt.value = Date.now();
      problem.value = null;
    } catch (error) {
      problem.value = error;
    }
  }

  async function loadWindows(hall: string): Promise<void> {
    const items = await api.all<HallWindow>(`/halls/${encodeURIComponent(hall)}/windows`);
    windows.value.set(hall, items.map((w) => w.id ?? w.window));
    triggerRef(windows);
    take(items.map((w) => ({ ...w, window: w.id ?? w.window, hall: w.hall ?? hall })));
  }

  /** Newer states win; an answer that was overtaken by a push changes nothing. */
  function take(rows: WindowState[]): void {
    for (const row of rows) {
      const known = states.get(row.window);
      if (known?.updated_at && row.updated_at && known.updated_at > row.updated_at) continue;
      states.set(row.window, row);
    }
  }

  function windowName(id: string): string {
    return states.get(id)?.name ?? id;
  }

  function counts(id: string): Counts {
    return byId.value.get(id)?.counts ?? {};
  }

  function reset(): void {
    areas.value = [];
    halls.value = [];
    cameras.value = [];
    windows.value = new Map();
    states.clear();
    loaded.value = false;
    loadedAt.value = null;
    problem.value = null;
  }

  return {
    areas, halls, cameras, windows, states, loaded, loadedAt, problem, tree, byId,
    refresh, loadWindows, take, windowName, counts, reset,
  };
});
