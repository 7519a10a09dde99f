// The catalogues and the one i18n instance. English is loaded only when asked for.

import { createI18n } from "vue-i18n";
import { watch } from "vue";
import { language } from "../state/look";
import zh from "./zh-CN";

export const i18n = createI18n({
  legacy: false,
  locale: "zh-CN",
  fallbackLocale: "zh-CN",
  messages: { "zh-CN": zh } as Record<string, typeof zh>,
});

/** Follows the chosen language; resolves when its catalogue is there. */
export async function followLanguage(): Promise<void> {
  const apply = async () => {
    if (language.value === "en") i18n.global.setLocaleMessage("en", (await import("./en")).default);
    i18n.global.locale.value = language.value;
  };
  watch(language, apply);
  await apply();
}
