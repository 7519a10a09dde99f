// Learning which key of an evaluator means which grade. Pure: presses in, a map out. A person decides; nothing is guessed
// from the byte.

export const GRADES = [5, 4, 3, 2, 1] as const;

/** Raw byte → grade, in the order in which keys were first pressed. */
export type GradeMap = Record<string, number>;

/** The grade that the next unknown key is asked for: the first that has no key yet. */
export function asked(map: GradeMap, chosen: number | null): number | null {
  if (chosen !== null) return chosen;
  const given = new Set(Object.values(map));
  return GRADES.find((grade) => !given.has(grade)) ?? null;
}

/** The map after a press of `raw`. `chosen` is the tile that the person asked to learn anew, if any. */
export function pressed(map: GradeMap, raw: string, chosen: number | null): GradeMap {
  if (raw in map && chosen === null) return map;
  const grade = asked(map, chosen);
  if (grade === null) return map;
  // A tile that is learnt anew loses its former key.
  const kept = Object.entries(map).filter(([key, value]) => key !== raw && !(chosen !== null && value === chosen));
  return { ...Object.fromEntries(kept), [raw]: grade };
}

/** Keys heard that mean nothing yet. */
export function unknownKeys(map: GradeMap, heard: string[]): string[] {
  return heard.filter((raw) => !(raw in map));
}

/** The map cut down to keys really heard in this test: what can be confirmed. */
export function confirmable(map: GradeMap, heard: string[]): GradeMap {
  return Object.fromEntries(heard.flatMap((raw) => (map[raw] === undefined ? [] : [[raw, map[raw]]])));
}

/** Grades without a key. */
export function missing(map: GradeMap): number[] {
  const given = new Set(Object.values(map));
  return GRADES.filter((grade) => !given.has(grade));
}
