// Who is signed in. Owns the answer of /session; never keeps a password.

import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { api, ApiProblem } from "../api/http";
import type { User } from "../api/model";

export const useSession = defineStore("session", () => {
  const user = ref<User | null>(null);
  const asked = ref(false);
  /** Whether they see the machines at the halls. */
  const seesNodes = computed(() => user.value?.role === "administrator" || user.value?.role === "technician");

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

  async function signIn(name: string, password: string): Promise<void> {
    user.value = (await api.post<{ user: User }>("/session", { name, password }, true)).user;
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

  return { user, seesNodes, resume, signIn, changePassword, signOut, forget };
});
