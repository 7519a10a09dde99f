// Addresses at the hall, in the fragment: `#/w/450103-01-W07` is what a window's QR code says.

import { createRouter, createWebHashHistory } from "vue-router";
import { pairingRoutes } from "../pairing/routes";

export const router = createRouter({
  history: createWebHashHistory(),
  routes: [
    { path: "/", component: () => import("./HallPages.vue"), children: pairingRoutes },
    { path: "/:rest(.*)*", redirect: "/" },
  ],
  scrollBehavior: () => ({ top: 0 }),
});
