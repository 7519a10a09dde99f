// Presets of the wall (预案) at the centre: shapes and calls.

import { api } from "../api/http";
import type { List } from "../api/model";
import type { PatrolPlan } from "./patrol";

export interface PresetWall {
  layout: string;
  cameras: string[];
  patrol: PatrolPlan | null;
}

export interface Preset {
  id: string;
  name: string;
  owner: string;
  mine: boolean;
  scope: string | null;
  scope_name: string | null;
  updated_at: string;
  wall: PresetWall;
  /** How many of its cameras are not ours to watch, or are no more. */
  hidden: number;
}

export interface PresetIs {
  name: string;
  scope: string | null;
  wall: PresetWall;
}

export const presets = {
  list: async (): Promise<Preset[]> => (await api.get<List<Preset>>("/wall/presets")).items,
  add: async (preset: PresetIs): Promise<string> => (await api.post<{ id: string }>("/wall/presets", preset, true)).id,
  change: (id: string, preset: PresetIs) => api.put(`/wall/presets/${encodeURIComponent(id)}`, preset),
  remove: (id: string) => api.delete(`/wall/presets/${encodeURIComponent(id)}`),
};
