// The halls that the person may see, and which of them is looked at; provided by the frame to its pages.

import { inject, type ComputedRef, type InjectionKey, type ShallowRef } from "vue";
import type { Hall } from "../api/model";

export interface Halls {
  halls: ShallowRef<Hall[]>;
  /** The hall in the address; empty: none. */
  hall: ComputedRef<string>;
}

export const HALLS: InjectionKey<Halls> = Symbol("halls");

export function useHalls(): Halls {
  const halls = inject(HALLS);
  if (!halls) throw new Error("the frame of attendance is missing");
  return halls;
}
