/** The URL holds the whole state of a page: every view can be sent to a colleague and comes back the same. */

import { useCallback, useEffect, useMemo } from "react";
import { useParams, useSearchParams } from "react-router";
import { useMe } from "../api/me";
import type { Condition, Question, Range } from "../api/types";

/** The project of the address: its id, and what is known of it. */
export function useProject() {
  const { project = "" } = useParams();
  const { data } = useMe();
  const known = data?.projects.find((one) => one.id === project);
  return {
    id: project,
    name: known?.name ?? project,
    zone: known?.zone ?? "UTC",
    role: known?.role,
    weekStart: known?.week_start,
  };
}

type Search = [URLSearchParams, (change: (search: URLSearchParams) => void, options?: { push?: boolean }) => void];

/** What was asked for last, and where the browser stood then: a change that follows before it has moved builds on this one. */
let next: { from: string; search: URLSearchParams } | null = null;

/** The query string, and the way to change it. Of changes within one tick none is lost. */
export function useSearch(): Search {
  const [search, setSearch] = useSearchParams();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the browser has moved, to wherever
  useEffect(() => {
    next = null;
  }, [search]);
  const change = useCallback<Search[1]>(
    (alter, { push = false } = {}) => {
      const from = window.location.href;
      const after = new URLSearchParams(next?.from === from ? next.search : window.location.search);
      alter(after);
      next = { from, search: after };
      setSearch(after, { replace: !push });
    },
    [setSearch],
  );
  return [search, change];
}

/** One JSON value under a name of the query string; what equals `fallback` is left out of it. */
export function useUrlValue<T>(name: string, fallback: T): [T, (value: T, options?: { push?: boolean }) => void] {
  const [search, changeSearch] = useSearch();
  const text = search.get(name);
  const plain = JSON.stringify(fallback);
  const value = useMemo(() => read<T>(text, JSON.parse(plain) as T), [text, plain]);
  const set = useCallback(
    (value: T, options: { push?: boolean } = {}) => {
      const written = typeof value === "string" ? value : JSON.stringify(value);
      const plainly =
        value === undefined || written === (typeof JSON.parse(plain) === "string" ? JSON.parse(plain) : plain);
      changeSearch((search) => (plainly ? search.delete(name) : search.set(name, written)), options);
    },
    [name, plain, changeSearch],
  );
  return [value, set];
}

function read<T>(text: string | null, fallback: T): T {
  if (text === null) return fallback;
  if (typeof fallback === "string") return text as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    return fallback;
  }
}

export const DEFAULT_RANGE: Range = { last: "30 days" };

/** Range, filters and comparison of the page, as the top bar and clicks set them. */
export function useView() {
  const [range, setRange] = useUrlValue<Range>("range", DEFAULT_RANGE);
  const [filters, setFilters] = useUrlValue<Condition[]>("filters", []);
  const [compare, setCompare] = useUrlValue<boolean>("compare", false);
  return { range, setRange, filters, setFilters, compare, setCompare };
}

/** A question with another range and more filters. */
export function within(question: Question, range: Range, filters: Condition[]): Question {
  const { last: _last, date_from: _from, date_to: _to, ...rest } = question;
  const own = (question.filters as Condition[] | undefined) ?? [];
  return { ...rest, ...range, ...(own.length + filters.length ? { filters: [...own, ...filters] } : {}) };
}
