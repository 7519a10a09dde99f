// How the parts of a page reach its screen.

import type { InjectionKey } from "vue";
import type { WindowState } from "../api/model";
import type { Screen } from "../video/screen";

export type WallScreen = Screen<WindowState>;
export const screenKey: InjectionKey<WallScreen> = Symbol("screen");
