// The tree's shape and sums, as pure functions: flat areas and halls to ordered places with depth, counts that roll up,
// and which cameras lie below a place.

import type { Area, Camera, Counts, Hall } from "../api/model";

export interface Place {
  id: string;
  parent: string | null;
  name: string;
  kind: "area" | "hall";
  level: string;
  depth: number;
  counts: Required<Counts>;
}

const NONE: Required<Counts> = { halls: 0, windows: 0, cameras: 0, cameras_live: 0, alarms: 0 };

function sum(a: Required<Counts>, b: Required<Counts>): Required<Counts> {
  return {
    halls: a.halls + b.halls,
    windows: a.windows + b.windows,
    cameras: a.cameras + b.cameras,
    cameras_live: a.cameras_live + b.cameras_live,
    alarms: a.alarms + b.alarms,
  };
}

/** Whether a camera's state calls for somebody. */
export function cameraTrouble(state: string): boolean {
  return state !== "live" && state !== "connecting";
}

function hallCounts(hall: Hall, cameras: Camera[]): Required<Counts> {
  const own = cameras.filter((c) => c.hall === hall.id);
  return {
    halls: 1,
    windows: hall.counts?.windows ?? new Set(own.map((c) => c.window).filter(Boolean)).size,
    cameras: hall.counts?.cameras ?? own.length,
    cameras_live: hall.counts?.cameras_live ?? own.filter((c) => !cameraTrouble(c.state)).length,
    alarms: hall.counts?.alarms ?? own.filter((c) => cameraTrouble(c.state)).length,
  };
}

/** Areas and halls in the order of the tree, root first, each with its depth and the sums of all below it. */
export function rollUp(areas: Area[], halls: Hall[], cameras: Camera[]): Place[] {
  const out: Place[] = [];
  const ids = new Set(areas.map((a) => a.id));
  const walk = (area: Area, depth: number, path: Set<string>): Required<Counts> => {
    if (path.has(area.id)) return NONE;
    const below = new Set(path).add(area.id);
    const place: Place = { id: area.id, parent: area.parent, name: area.name, kind: "area", level: area.level, depth, counts: NONE };
    out.push(place);
    let total = NONE;
    for (const child of areas) if (child.parent === area.id) total = sum(total, walk(child, depth + 1, below));
    for (const hall of halls) {
      if (hall.area !== area.id) continue;
      const counts = hallCounts(hall, cameras);
      out.push({ id: hall.id, parent: area.id, name: hall.name, kind: "hall", level: "hall", depth: depth + 1, counts });
      total = sum(total, counts);
    }
    // The centre's own sums count what this page does not see, such as devices.
    place.counts = { ...total, ...area.counts };
    return place.counts;
  };
  for (const area of areas) if (area.parent === null || !ids.has(area.parent)) walk(area, 0, new Set());
  // A hall whose area this person may not see still shows.
  for (const hall of halls) {
    if (!ids.has(hall.area)) {
      out.push({ id: hall.id, parent: null, name: hall.name, kind: "hall", level: "hall", depth: 0, counts: hallCounts(hall, cameras) });
    }
  }
  return out;
}

/** The halls at or below a place. */
export function hallsBelow(places: Place[], id: string): Set<string> {
  const found = new Set<string>();
  const inside = new Set<string>([id]);
  // Places come parents first.
  for (const place of places) {
    if (place.id !== id && (place.parent === null || !inside.has(place.parent))) continue;
    inside.add(place.id);
    if (place.kind === "hall") found.add(place.id);
  }
  return found;
}

export type CameraKind = "window" | "security" | "all";

/** The cameras of an area, hall or window, window cameras first, in the order of their IDs. */
export function camerasOf(places: Place[], cameras: Camera[], node: string | null, kind: CameraKind): Camera[] {
  const fits = (c: Camera) => kind === "all" || c.kind === kind;
  let chosen: Camera[];
  if (node === null || node === "") chosen = cameras.filter(fits);
  else if (places.some((p) => p.id === node)) {
    const halls = hallsBelow(places, node);
    chosen = cameras.filter((c) => halls.has(c.hall) && fits(c));
  } else chosen = cameras.filter((c) => c.window === node);
  return [...chosen].sort((a, b) =>
    a.hall.localeCompare(b.hall) || Number(a.kind === "security") - Number(b.kind === "security") || a.id.localeCompare(b.id));
}
