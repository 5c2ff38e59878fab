/** Properties as people read them: one line each, with all types that it came in. */

import type { Property } from "../../api/types";

export interface PropertyOfAll {
  property: string;
  types: string[];
  events: string[];
  last_seen: string;
}

/** The engine's name of a type in plain words. */
export function typeWord(type: string): string {
  const inner = /^(?:Nullable|LowCardinality)\((.+)\)$/.exec(type)?.[1];
  if (inner) return typeWord(inner);
  if (/^U?Int|^Float|^Decimal/.test(type)) return "number";
  if (/^String|^FixedString|^UUID/.test(type)) return "text";
  if (/^Bool/.test(type)) return "true or false";
  if (/^Date/.test(type)) return "time";
  if (/^Array|^Tuple/.test(type)) return "list";
  if (/^JSON|^Object|^Map/.test(type)) return "object";
  return type;
}

/** One entry for each property, by name. */
export function propertiesOf(listed: Property[]): PropertyOfAll[] {
  const found = new Map<string, PropertyOfAll>();
  for (const { property, type, events, last_seen } of listed) {
    const known = found.get(property);
    const word = typeWord(type);
    if (!known) found.set(property, { property, types: [word], events: [...events].sort(), last_seen });
    else {
      known.types = [...new Set([...known.types, word])].sort();
      known.events = [...new Set([...known.events, ...events])].sort();
      if (last_seen > known.last_seen) known.last_seen = last_seen;
    }
  }
  return [...found.values()].sort((one, other) => one.property.localeCompare(other.property));
}
