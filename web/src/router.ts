// Addresses of the site. The state of a page is in its address, so that it can be kept, sent and gone back to.

import { createRouter, createWebHistory } from "vue-router";
import { useSession } from "./state/session";

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: "/", redirect: "/wall" },
    { path: "/sign-in", name: "sign-in", component: () => import("./pages/SignIn.vue"), meta: { open: true } },
    { path: "/password", name: "password", component: () => import("./pages/PasswordPage.vue") },
    { path: "/wall", name: "wall", component: () => import("./pages/WallPage.vue"), meta: { dark: true } },
    { path: "/cases", name: "cases", component: () => import("./pages/CasesPage.vue") },
    { path: "/cases/:id", name: "case", component: () => import("./pages/CasePage.vue") },
    { path: "/nodes", name: "nodes", component: () => import("./pages/NodesPage.vue"), meta: { nodes: true } },
    { path: "/:rest(.*)*", name: "lost", component: () => import("./pages/LostPage.vue") },
  ],
});

router.beforeEach(async (to) => {
  const session = useSession();
  await session.resume();
  if (!to.meta["open"] && session.user === null) return { name: "sign-in", query: to.fullPath === "/wall" ? {} : { to: to.fullPath } };
  if (to.name === "sign-in" && session.user !== null) return { name: "wall" };
  if (session.user?.must_change && to.name !== "password") return { name: "password" };
  if (to.meta["nodes"] && !session.seesNodes) return { name: "lost" };
  return true;
});
