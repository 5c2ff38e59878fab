/** What the tracking plan found, over all days. */

export interface Violation {
  event: string;
  property: string;
  rule: string;
  count: number;
  last_seen: string;
}

export interface Found {
  events: { event: string; checked: number; failed: number }[];
  violations: Violation[];
}

/** How many events were judged and did not fit; and each fault once, the most frequent first. */
export function foundOf({ events, violations }: Found): { checked: number; failed: number; faults: Violation[] } {
  const faults = new Map<string, Violation>();
  for (const { event, property, rule, count, last_seen } of violations) {
    const key = JSON.stringify([event, property, rule]);
    const known = faults.get(key);
    if (!known) faults.set(key, { event, property, rule, count, last_seen });
    else {
      known.count += count;
      if (last_seen > known.last_seen) known.last_seen = last_seen;
    }
  }
  return {
    checked: events.reduce((sum, { checked }) => sum + checked, 0),
    failed: events.reduce((sum, { failed }) => sum + failed, 0),
    faults: [...faults.values()].sort((one, other) => other.count - one.count),
  };
}
