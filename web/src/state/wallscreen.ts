// How the parts of a page reach its screen.

import type { InjectionKey, Ref } from "vue";
import type { WindowState } from "../api/model";
import type { Screen } from "../video/screen";

export type WallScreen = Screen<WindowState>;
/** Whether the wall socket is up; null before it first was. What came by it is old while it is down. */
export const linkKey: InjectionKey<Ref<boolean | null>> = Symbol("link");
export const screenKey: InjectionKey<WallScreen> = Symbol("screen");
