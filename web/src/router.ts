// Addresses of the site. The state of a page is in its address, so that it can be kept, sent and gone back to.

import { createRouter, createWebHistory } from "vue-router";
import { attendanceRoute } from "./attendance/routes";
import { pairingRoutes } from "./pairing/routes";
import { useSession } from "./state/session";

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: "/", name: "home", component: () => import("./pages/LostPage.vue") },
    { path: "/overview", name: "overview", component: () => import("./supervision/OverviewPage.vue"), meta: { service: true } },
    { path: "/ratings", name: "ratings", component: () => import("./supervision/RatingsPage.vue"), meta: { service: true } },
    { path: "/compare", name: "compare", component: () => import("./supervision/ComparePage.vue"), meta: { service: true } },
    { path: "/reports", name: "reports", component: () => import("./supervision/ReportPage.vue"), meta: { service: true } },
    { path: "/sign-in", name: "sign-in", component: () => import("./pages/SignIn.vue"), meta: { open: true } },
    { path: "/password", name: "password", component: () => import("./pages/PasswordPage.vue") },
    { path: "/wall", name: "wall", component: () => import("./pages/WallPage.vue"), meta: { dark: true } },
    { path: "/queue", name: "queue-home", component: () => import("./queue/QueueHome.vue") },
    { path: "/halls/:hall/queue", name: "queue", component: () => import("./queue/QueuePage.vue") },
    { path: "/cases", name: "cases", component: () => import("./pages/CasesPage.vue") },
    { path: "/cases/:id", name: "case", component: () => import("./pages/CasePage.vue") },
    { path: "/cases/:id/replay", name: "replay", component: () => import("./pages/CaseReplayPage.vue"), meta: { dark: true } },
    { path: "/work", name: "work", component: () => import("./pages/WorkPage.vue"), meta: { nodes: true } },
    attendanceRoute,
    { path: "/official-numbers", name: "official-numbers", component: () => import("./supervision/NumbersPage.vue"), meta: { service: true } },
    { path: "/webhooks", name: "webhooks", component: () => import("./supervision/WebhooksPage.vue"), meta: { admin: true } },
    { path: "/nodes", name: "nodes", component: () => import("./pages/NodesPage.vue"), meta: { nodes: true } },
    { path: "/halls/:hall/pairing", component: () => import("./pages/HallPairingPage.vue"), meta: { nodes: true }, children: pairingRoutes },
    { path: "/halls/:hall/passes", name: "passes", component: () => import("./pages/PassesPage.vue"), meta: { nodes: true } },
    {
      path: "/admin", component: () => import("./admin/AdminShell.vue"), meta: { admin: true }, children: [
        { path: "", name: "admin", redirect: { name: "admin-tree" } },
        { path: "tree", name: "admin-tree", component: () => import("./admin/TreePage.vue") },
        { path: "users", name: "admin-users", component: () => import("./admin/UsersPage.vue") },
        { path: "sessions", name: "admin-sessions", component: () => import("./admin/SessionsPage.vue") },
        { path: "retention", name: "admin-retention", component: () => import("./admin/RetentionPage.vue") },
        { path: "authority", name: "admin-authority", component: () => import("./admin/AuthorityPage.vue") },
        { path: "audit", name: "admin-audit", component: () => import("./admin/AuditPage.vue") },
      ],
    },
    { path: "/:rest(.*)*", name: "lost", component: () => import("./pages/LostPage.vue") },
  ],
});

router.beforeEach(async (to) => {
  const session = useSession();
  await session.resume();
  if (!to.meta["open"] && session.user === null) return { name: "sign-in", query: ["/", "/wall"].includes(to.fullPath) ? {} : { to: to.fullPath } };
  if (to.name === "sign-in" && session.user !== null) return session.home;
  if (to.name === "home" && !session.user?.must_change && !session.mustHaveFactor) return session.home;
  if ((session.user?.must_change || session.mustHaveFactor) && to.name !== "password") return { name: "password" };
  if (to.meta["nodes"] && !session.seesNodes) return { name: "lost" };
  if (to.meta["admin"] && !session.administers) return { name: "lost" };
  if (to.meta["attendance"] && !session.seesAttendance) return { name: "lost" };
  if (to.meta["service"] && !session.supervises) return { name: "lost" };
  return true;
});
