// How the parts of a page reach its screen.

import type { InjectionKey, Ref } from "vue";
import type { WindowState } from "../api/model";
import type { Screen } from "../video/screen";
import type { ReplayAsked } from "../wall/replays";

export type WallScreen = Screen<WindowState>;
/** Whether the wall socket is up; null before it first was. What came by it is old while it is down. */
export const linkKey: InjectionKey<Ref<boolean | null>> = Symbol("link");
export const screenKey: InjectionKey<WallScreen> = Symbol("screen");
/** Tiles that replay, by camera. */
export const replaysKey: InjectionKey<{ shown: Ref<ReadonlyMap<string, ReplayAsked>>; set(camera: string, asked: ReplayAsked | null): void }> = Symbol("replays");
