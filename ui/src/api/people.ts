/** People as lists and pages show them. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { call, projectPath } from "./client";
import type { KnownPerson, Person, Row } from "./types";

interface PeoplePage {
  people: KnownPerson[];
  next: string;
}

const PAGE = 100;

/** People by their latest event; with `search`, those who use an id that begins so, or whose email or name holds it. */
export function usePeople(project: string, search: string) {
  return useInfiniteQuery({
    queryKey: ["people", project, search],
    queryFn: ({ pageParam, signal }) =>
      call<PeoplePage>(projectPath(project, "people"), { query: { search, limit: PAGE, after: pageParam }, signal }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    staleTime: 30_000,
  });
}

/** One person with the timeline, the latest event first; `event` shows events of that name only. */
export function usePerson(project: string, distinctId: string, event: string) {
  return useInfiniteQuery({
    queryKey: ["person", project, distinctId, event],
    queryFn: ({ pageParam, signal }) =>
      call<Person>(projectPath(project, "people", distinctId), {
        query: { event, limit: PAGE, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    staleTime: 30_000,
  });
}

/** What people call somebody: a name, an email, else the id. */
export function calledBy(person: { distinct_id: string; properties: Row }): string {
  for (const name of ["name", "$name", "email", "$email"]) {
    const value = person.properties[name];
    if (typeof value === "string" && value.trim()) return value;
  }
  return person.distinct_id;
}
