// Starts the site.

import { createPinia } from "pinia";
import { createApp } from "vue";
import App from "./App.vue";
import { whenSignedOut } from "./api/http";
import { followLanguage, i18n } from "./locales";
import { router } from "./router";
import { followLook } from "./state/look";
import { usePlaces } from "./state/places";
import { useSession } from "./state/session";
import "element-plus/theme-chalk/dark/css-vars.css";
import "./styles/base.css";

followLook();
const app = createApp(App).use(createPinia()).use(i18n);

whenSignedOut(() => {
  const session = useSession();
  if (session.user === null) return;
  session.forget();
  usePlaces().reset();
  void router.push({ name: "sign-in", query: { to: router.currentRoute.value.fullPath, again: "1" } });
});

void followLanguage().then(() => app.use(router).mount("#app"));
