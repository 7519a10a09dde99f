// Starts what the hall's machine serves: the technician's pages, at /callout the call-out screen, or at /kiosk where tickets are taken. A pass in the address's
// fragment is taken out of it at once, so that it stays in no history.

import { createApp } from "vue";
import { followLanguage, i18n } from "../locales";
import { passOf } from "../pairing/parts/scan";
import { followLook } from "../state/look";
import "../styles/base.css";

followLook();

async function start(): Promise<void> {
  await followLanguage();
  if (location.pathname === "/callout") {
    const { default: CalloutScreen } = await import("../callout/CalloutScreen.vue");
    createApp(CalloutScreen).use(i18n).mount("#app");
    return;
  }
  if (location.pathname === "/kiosk") {
    const { default: KioskScreen } = await import("../kiosk/KioskScreen.vue");
    createApp(KioskScreen).use(i18n).mount("#app");
    return;
  }
  const pass = passOf(location.hash);
  if (pass) history.replaceState(null, "", `${location.pathname}#/`);
  const [{ default: HallApp }, { router }] = await Promise.all([import("./HallApp.vue"), import("./router")]);
  createApp(HallApp, { pass }).use(i18n).use(router).mount("#app");
}

void start();
