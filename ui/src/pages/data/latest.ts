import type { Row } from "../../api/types";

/** Events of both lists, each once, the latest received first, at most `most`. */
export function latestOf(live: Row[], stored: Row[], most: number): Row[] {
  const seen = new Set<string>();
  const found: Row[] = [];
  for (const event of [...live, ...stored]) {
    const id = String(event.event_id);
    if (seen.has(id)) continue;
    seen.add(id);
    found.push(event);
  }
  found.sort((one, other) => String(other.time_received).localeCompare(String(one.time_received)));
  return found.slice(0, most);
}
