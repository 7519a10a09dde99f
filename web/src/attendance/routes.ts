// Addresses of attendance. What is looked at (hall, date, month, state) is in the query.

import type { RouteRecordRaw } from "vue-router";

export const attendanceRoute: RouteRecordRaw = {
  path: "/attendance",
  component: () => import("./AttendancePage.vue"),
  meta: { attendance: true },
  children: [
    { path: "", name: "attendance", component: () => import("./DayView.vue") },
    { path: "month", name: "attendance-month", component: () => import("./MonthView.vue") },
    { path: "people/:hall/:employee", name: "attendance-person", component: () => import("./PersonView.vue") },
    { path: "requests", name: "attendance-requests", component: () => import("./RequestsView.vue") },
    { path: "duty", name: "attendance-duty", component: () => import("./DutyView.vue") },
    { path: "staff", name: "attendance-staff", component: () => import("./StaffView.vue") },
    { path: "shifts", name: "attendance-shifts", component: () => import("./ShiftsView.vue") },
    { path: "calendar", name: "attendance-calendar", component: () => import("./CalendarView.vue") },
  ],
};
