/** Who is signed in, and what he may do where. */

import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { call, setCsrf } from "./client";

export type Role = "owner" | "admin" | "analyst" | "viewer";

export interface ProjectOfMine {
  id: string;
  name: string;
  zone: string;
  week_start: string;
  role: Role;
}

export interface Me {
  user: { id: string; email: string; name: string; owner: boolean } | null;
  first_run: boolean;
  csrf: string;
  projects: ProjectOfMine[];
  version: string;
}

const KEY = ["me"];
/** Milliseconds for which an answer about oneself is believed, whatever is refused. */
const PAUSE = 1000;

export async function readMe(): Promise<Me> {
  const me = await call<Me>("/api/v1/me");
  setCsrf(me.csrf);
  return me;
}

export function useMe() {
  return useQuery({ queryKey: KEY, queryFn: readMe, staleTime: 60_000 });
}

let asking: ReturnType<typeof setTimeout> | undefined;

/** Asks anew who is signed in and what he may; once for all who ask in the same moment. */
export function askWhoIAm(client: QueryClient): void {
  const known = client.getQueryState(KEY);
  if (known?.fetchStatus !== "idle" || asking !== undefined) return;
  const ask = (): void => {
    asking = undefined;
    void client.invalidateQueries({ queryKey: KEY });
  };
  const left = PAUSE - (Date.now() - known.dataUpdatedAt);
  if (left > 0) asking = setTimeout(ask, left);
  else ask();
}

/** Signs in, out or up: whatever answers with the new `Me` takes the place of all that was known. */
export function useBecome() {
  const client = useQueryClient();
  return async (): Promise<Me> => {
    client.clear();
    const me = await readMe();
    client.setQueryData(KEY, me);
    return me;
  };
}

const RANKS: Role[] = ["viewer", "analyst", "admin", "owner"];

/** Whether a role includes another. The server decides; this only hides what cannot be done. */
export function atLeast(role: Role | undefined, needed: Role): boolean {
  return role !== undefined && RANKS.indexOf(role) >= RANKS.indexOf(needed);
}
