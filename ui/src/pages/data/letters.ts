/** Dead letters as people read them. */

export interface Letter {
  id: string;
  state: string;
  received: string;
  stage: string;
  reason: string;
  detail: string;
  original: string;
  protocol: string;
}

/** "against_plan" → "Against plan". */
export function reasonWords(reason: string): string {
  const words = reason.replaceAll("_", " ").trim();
  return words ? words[0]?.toUpperCase() + words.slice(1) : "No reason";
}

/** How many there are of each reason, the most frequent first. */
export function reasonsOf(letters: Letter[]): { reason: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { reason } of letters) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts]
    .map(([reason, count]) => ({ reason, count }))
    .sort((one, other) => other.count - one.count || one.reason.localeCompare(other.reason));
}

/** JSON on several lines, where nothing is lost by it: numbers that a browser cannot hold stay as they were sent. */
export function indented(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return JSON.stringify(value) === text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, "$1")
      ? JSON.stringify(value, null, 2)
      : text;
  } catch {
    return text;
  }
}
