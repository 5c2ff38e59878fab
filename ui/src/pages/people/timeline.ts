/** A person's events in the sessions that they make, the latest first. */

import type { Row } from "../../api/types";

export interface Visit {
  /** Of its first event that is known. */
  key: string;
  /** The latest first. */
  events: Row[];
  /** False while earlier events of it may be on the next page. */
  whole: boolean;
}

/** Cuts a timeline, the latest event first, where `session_start` marks the first event of a session. Where an event name hides what was
 * before, the marks are null, and the days of `zone` cut it. */
export function visitsOf(events: Row[], zone: string): Visit[] {
  const visits: Visit[] = [];
  let current: Row[] = [];
  const close = (whole: boolean) => {
    const first = current.at(-1);
    if (first) visits.push({ key: String(first.event_id), events: current, whole });
    current = [];
  };
  const marked = events.some(({ session_start }) => session_start !== null && session_start !== undefined);
  const day = new Intl.DateTimeFormat("en-CA", { timeZone: zone });
  const dayOf = (event: Row | undefined) => (event ? day.format(new Date(String(event.time))) : "");
  events.forEach((event, place) => {
    current.push(event);
    if (marked ? event.session_start === true : dayOf(event) !== dayOf(events[place + 1])) close(true);
  });
  close(false);
  return visits;
}

/** Between its first and its last event, in seconds. */
export function lengthOf(visit: Visit): number {
  const at = (event: Row | undefined) => Date.parse(String(event?.time ?? ""));
  return Math.max(0, (at(visit.events[0]) - at(visit.events.at(-1))) / 1000);
}

/** What an event is about, in a few words: its page, or its first properties. */
export function hintOf(event: Row): string {
  const page = String(event.path || event.screen || "");
  const properties = Object.entries((event.properties ?? {}) as Row)
    .filter(([name, value]) => !name.startsWith("$") && typeof value !== "object" && value !== "")
    .slice(0, 3)
    .map(([name, value]) => `${name}: ${value}`);
  return [...(page ? [page] : []), ...(page && event.kind !== "track" ? [] : properties)].join(" · ");
}
