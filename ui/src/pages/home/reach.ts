/** How far a filter reaches. Where somebody is and what he uses stands on every event of a session, so it narrows events. What happened once
 * in it (the source by which it began, a page, an event, a property) would leave of a session nothing else: it narrows to sessions, and to
 * people, with such an event. */

import type { Condition } from "../../api/types";

const OF_WHOLE_SESSIONS = new Set(
  [
    "country",
    "region",
    "city",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "device",
    "is_bot",
    "library",
    "protocol",
  ].map((name) => `@${name}`),
);

function isOfWhole(filter: Condition): boolean {
  if ("segment" in filter || filter.of === "person" || filter.of === "group") return true;
  const groups = ["all", "any", "not"].flatMap((word) => (filter[word] as Condition[] | undefined) ?? []);
  if (groups.length > 0) return groups.every(isOfWhole);
  return OF_WHOLE_SESSIONS.has(String(filter.property ?? filter.prop ?? ""));
}

/** The filters that hold for all events of a session, or for people. */
export const ofWhole = (filters: Condition[]): Condition[] => filters.filter(isOfWhole);

/** The filters that one of its events has to pass. */
export const byEvent = (filters: Condition[]): Condition[] => filters.filter((filter) => !isOfWhole(filter));
