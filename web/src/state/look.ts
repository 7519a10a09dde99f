// Language and theme, kept in this browser. The wall is dark unless the person chose otherwise.

import { computed, ref, watchEffect } from "vue";

export type Theme = "auto" | "light" | "dark";
export type Language = "zh-CN" | "en";

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that keeps nothing still works.
  }
}

const storedTheme = read("hallwatch.theme");
export const theme = ref<Theme>(storedTheme === "light" || storedTheme === "dark" ? storedTheme : "auto");
export const language = ref<Language>(read("hallwatch.language") === "en" ? "en" : "zh-CN");
/** Whether the page now open is one that is dark by itself (the wall). */
export const darkPage = ref(false);
export const dark = computed(() => theme.value === "dark" || (theme.value === "auto" && darkPage.value));

export function setTheme(value: Theme): void {
  theme.value = value;
  keep("hallwatch.theme", value);
}

export function setLanguage(value: Language): void {
  language.value = value;
  keep("hallwatch.language", value);
}

/** Keeps the document's own attributes in step. */
export function followLook(): void {
  watchEffect(() => {
    document.documentElement.classList.toggle("dark", dark.value);
    document.documentElement.lang = language.value;
  });
}
