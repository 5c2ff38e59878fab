/** Keys for the items of a list that have no names of their own, so that what is typed stays with its item when others come, go or move. */

import { useCallback, useState } from "react";

let count = 0;
const fresh = (): string => {
  count += 1;
  return `k${count}`;
};

export function useKeys(length: number) {
  const [kept, setKept] = useState<string[]>(() => Array.from({ length }, fresh));
  let keys = kept;
  if (kept.length !== length) {
    // Somebody else changed the list: those at its end are new, or gone.
    keys =
      kept.length > length ? kept.slice(0, length) : [...kept, ...Array.from({ length: length - kept.length }, fresh)];
    setKept(keys);
  }
  const added = useCallback(() => setKept((before) => [...before, fresh()]), []);
  const removed = useCallback((place: number) => setKept((before) => before.filter((_, at) => at !== place)), []);
  const moved = useCallback((from: number, to: number) => setKept((before) => movedItem(before, from, to)), []);
  return { keys, added, removed, moved };
}

/** The list with one item at another place. */
export function movedItem<T>(list: readonly T[], from: number, to: number): T[] {
  const next = list.filter((_, at) => at !== from);
  next.splice(to, 0, list[from] as T);
  return next;
}
