/** A board as it is saved, and the draft of whoever works on it: nothing is lost on a closed tab, nothing of others is overwritten unseen. */

import { useCallback, useEffect, useMemo, useState } from "react";
import { useDefinition, useSaveDefinition } from "../../api/catalog";
import { ApiError } from "../../api/errors";
import { type Board, boardOf, did, redone, type Steps, same, undone } from "./model";

interface Kept {
  board: Board;
  /** The version that the draft began with. */
  version: number;
}

const placeOf = (project: string, name: string): string => `almanac.board.${project}.${name}`;

function kept(place: string): Kept | null {
  try {
    const found = JSON.parse(window.localStorage.getItem(place) ?? "null") as Kept | null;
    return found && Array.isArray(found.board?.tiles) ? found : null;
  } catch {
    return null;
  }
}

export function useBoard(project: string, name: string) {
  const definition = useDefinition(project, "board", name);
  const { refetch } = definition;
  const save = useSaveDefinition(project, "board");
  const { reset } = save;
  const place = placeOf(project, name);
  const [steps, setSteps] = useState<Steps | null>(null);
  const [base, setBase] = useState(0);
  const saved = useMemo(() => (definition.data ? boardOf(definition.data.body) : null), [definition.data]);
  const version = definition.data?.version ?? 0;
  const draft = steps?.now ?? null;
  const changed = draft !== null && saved !== null && !same(draft, saved);
  /** Somebody saved a version after the one that this draft began with. */
  const overtaken = draft !== null && base !== 0 && version > base;

  const begin = useCallback(() => {
    if (!saved) return;
    const before = kept(place);
    setSteps({ past: before ? [saved] : [], now: before?.board ?? saved, future: [] });
    setBase(before?.version ?? version);
  }, [saved, place, version]);

  useEffect(() => {
    if (!draft || base === 0) return;
    if (changed) window.localStorage.setItem(place, JSON.stringify({ board: draft, version: base } satisfies Kept));
    else window.localStorage.removeItem(place);
  }, [draft, changed, place, base]);

  const change = useCallback((next: (board: Board) => Board) => setSteps((now) => now && did(now, next(now.now))), []);
  const end = useCallback(() => {
    window.localStorage.removeItem(place);
    setSteps(null);
    setBase(0);
  }, [place]);
  /** What is saved takes the place of the draft, be it of others or one's own. */
  const drop = useCallback(() => {
    end();
    reset();
    void refetch();
  }, [end, reset, refetch]);
  const keep = useCallback(
    (expected: number) => {
      if (!draft) return;
      save.mutate({ name, body: { ...draft }, expected }, { onSuccess: end });
    },
    [draft, save, name, end],
  );
  const taken = save.error instanceof ApiError && save.error.status === 409;
  return {
    definition,
    saved,
    draft,
    version,
    base,
    changed,
    overtaken: overtaken || taken,
    waiting: kept(place) !== null,
    begin,
    change,
    undo: steps && steps.past.length > 0 ? () => setSteps((now) => now && undone(now)) : null,
    redo: steps && steps.future.length > 0 ? () => setSteps((now) => now && redone(now)) : null,
    drop,
    save: () => keep(base),
    /** Takes the place of what others saved meanwhile; theirs stays in the history. */
    saveOver: () => {
      void refetch().then(({ data }) => keep(data?.version ?? base));
    },
    saving: save.isPending,
    error: taken ? null : save.error,
  };
}
