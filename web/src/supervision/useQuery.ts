// A page's state in its address: read as text, changed in place, so that it can be kept, sent and gone back to.

import { useRoute, useRouter } from "vue-router";

export function useQuery() {
  const route = useRoute();
  const router = useRouter();
  const text = (name: string, otherwise = ""): string => {
    const value = route.query[name];
    return typeof value === "string" ? value : otherwise;
  };
  /** Puts `change` over the query; what is empty is left out. */
  const put = (change: Record<string, string | null>): void => {
    const query = { ...route.query, ...change };
    for (const [name, value] of Object.entries(query)) if (value === "" || value === null) delete query[name];
    void router.replace({ query });
  };
  return { text, put };
}
