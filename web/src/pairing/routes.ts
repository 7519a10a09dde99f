// The addresses of the pairing pages, the same at the hall and at the centre, below whatever stands before them.

import type { RouteRecordRaw } from "vue-router";

/** Children of a shell that provides the hall. */
export const pairingRoutes: RouteRecordRaw[] = [
  { path: "", name: "pair-home", component: () => import("./pages/HomePage.vue") },
  { path: "visit", name: "pair-visit", component: () => import("./pages/VisitPage.vue") },
  { path: "windows", name: "pair-windows", component: () => import("./pages/WindowsPage.vue") },
  { path: "w/:window", name: "pair-window", component: () => import("./pages/WindowPage.vue") },
  { path: "find", name: "pair-find", component: () => import("./pages/FindPage.vue") },
  { path: "c/:candidate", name: "pair-identify", component: () => import("./pages/IdentifyPage.vue") },
  { path: "sniff/:search", name: "pair-sniff", component: () => import("./pages/SniffPage.vue") },
  { path: "c/:candidate/bind", name: "pair-bind", component: () => import("./pages/BindPage.vue") },
  { path: "p/:position", name: "pair-place", component: () => import("./pages/PlacePage.vue") },
  { path: "p/:position/test", name: "pair-test", component: () => import("./pages/TestPage.vue") },
  { path: "accept", name: "pair-accept", component: () => import("./pages/AcceptPage.vue") },
  { path: "sign", name: "pair-sign", component: () => import("./pages/SignPage.vue") },
  { path: "records", name: "pair-records", component: () => import("./pages/RecordsPage.vue") },
  { path: "records/:visit", name: "pair-record", component: () => import("./pages/RecordPage.vue") },
  { path: "undo", name: "pair-undo", component: () => import("./pages/UndoPage.vue") },
  { path: "codes", name: "pair-codes", component: () => import("./pages/CodesPage.vue") },
  { path: "import", name: "pair-import", component: () => import("./pages/ImportPage.vue") },
];
