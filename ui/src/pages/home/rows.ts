/** Rows of answers as ranked lists show them, and what a click on one filters by. */

import type { Answer, Condition, Row } from "../../api/types";

/** One line of a list. `filter`: what a click adds; null where there is nothing to filter by. */
export interface Ranked {
  label: string;
  value: number;
  /** A second figure, such as how many times. */
  second?: number | null;
  filter: Condition | null;
}

const OTHER = "Other";
export const NONE = "(none)";

/** Rows with one value each, of `series` only where the answer has several lines. */
export function byValue(
  answer: Answer | undefined,
  property: string,
  measure: string,
  options: { series?: string; name?: (value: string) => string } = {},
): Ranked[] {
  const rows = (answer?.rows ?? []) as Row[];
  return rows
    .filter((row) => options.series === undefined || row.series === options.series)
    .map((row) => {
      const value = String(row.breakdown ?? "");
      return {
        label: labelOf(value, options.name),
        value: Number(row[measure] ?? 0),
        filter: filterOf(property, value),
      };
    })
    .filter(({ value }) => value > 0);
}

/** Pages: the path of a site's page, the name of an app's screen. */
export function byPage(answer: Answer | undefined, measure: string, second?: string): Ranked[] {
  return ((answer?.rows ?? []) as Row[])
    .map((row) => {
      const page = String(row.page ?? "");
      const ranked: Ranked = {
        label: page || NONE,
        value: Number(row[measure] ?? 0),
        filter:
          page === "" || page === OTHER ? null : { property: page.startsWith("/") ? "@path" : "@screen", value: page },
      };
      return second === undefined ? ranked : { ...ranked, second: (row[second] as number | null) ?? null };
    })
    .filter(({ value }) => value > 0);
}

/** Two lines of one answer side by side, the first one's order. */
export function beside(first: Ranked[], second: Ranked[]): Ranked[] {
  const values = new Map(second.map(({ label, value }) => [label, value]));
  return first.map((row) => ({ ...row, second: values.get(row.label) ?? 0 }));
}

function labelOf(value: string, name?: (value: string) => string): string {
  if (value === "") return NONE;
  return value === OTHER || !name ? value : name(value);
}

/** What keeps to one value of a property: events without it for the empty value, nothing for all further ones. */
export function filterOf(property: string, value: string): Condition | null {
  if (value === OTHER) return null;
  return value === "" ? { property, op: "is_not_set" } : { property, value };
}

/** The filters with one more: it takes the place of an earlier one of the same property that asks for one value too. */
export function withFilter(filters: Condition[], added: Condition): Condition[] {
  const sign = JSON.stringify(added);
  if (filters.some((one) => JSON.stringify(one) === sign)) return filters;
  const plain = (one: Condition) =>
    "property" in one && (one.op === undefined || one.op === "=" || one.op === "is_not_set");
  if (!plain(added)) return [...filters, added];
  return [
    ...filters.filter(
      (one) => !(plain(one) && one.property === added.property && (one.of ?? "event") === (added.of ?? "event")),
    ),
    added,
  ];
}
