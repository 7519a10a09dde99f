// Who is signed in. Owns the answer of /session; never keeps a password.

import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { api, ApiProblem } from "../api/http";
import type { User } from "../api/model";

/** Where the first question of a role is answered; the wall for who has no page of their own. */
const HOMES: Record<string, string> = { supervisor: "/overview", hall_manager: "/queue", hr: "/attendance", technician: "/work" };

export const useSession = defineStore("session", () => {
  const user = ref<User | null>(null);
  const asked = ref(false);
  /** Whether they see the machines at the halls. */
  const seesNodes = computed(() => user.value?.role === "administrator" || user.value?.role === "technician");
  /** Whether they see what the service comes to: overview, ratings, reports. */
  const supervises = computed(() => ["administrator", "supervisor", "hall_manager"].includes(user.value?.role ?? ""));
  /** Whether they change places, people and rights. */
  const administers = computed(() => user.value?.grants?.some((grant) => grant.role === "administrator") ?? user.value?.role === "administrator");

  /** Whether they see attendance. */
  const seesAttendance = computed(() => user.value !== null && user.value.role !== "technician");
  /** Whether they see windows and cases: everybody but who keeps attendance alone. */
  const seesService = computed(() => user.value?.role !== "hr");
  /** Whether they must set up a second factor before anything else. */
  const mustHaveFactor = computed(() => user.value?.second_factor_required === true && user.value.second_factor !== true);
  /** Where this person's first question is answered. */
  const home = computed(() => HOMES[user.value?.role ?? ""] ?? "/wall");

  /** Asks the centre once who this is; a refusal means nobody. */
  async function resume(): Promise<void> {
    if (asked.value) return;
    try {
      user.value = (await api.ask<{ user: User }>("/session")).user;
      asked.value = true;
    } catch (error) {
      user.value = null;
      asked.value = error instanceof ApiProblem && error.status === 401;
    }
  }

  async function signIn(name: string, password: string, code?: string): Promise<void> {
    user.value = (await api.post<{ user: User }>("/session", { name, password, ...(code ? { code } : {}) }, true)).user;
    asked.value = true;
  }

  async function changePassword(old: string, fresh: string): Promise<void> {
    await api.put("/session/password", { old, new: fresh });
    if (user.value) user.value = { ...user.value, must_change: false };
  }

  async function signOut(): Promise<void> {
    try {
      await api.delete("/session");
    } finally {
      user.value = null;
      asked.value = true;
    }
  }

  function forget(): void {
    user.value = null;
    asked.value = true;
  }

  return { user, seesNodes, administers, seesAttendance, seesService, supervises, mustHaveFactor, home, resume, signIn, changePassword, signOut, forget };
});
