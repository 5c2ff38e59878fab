import { expect, test } from "vitest";
import type { Answer } from "../../api/types";
import { countryName } from "../../charts";
import { beside, byPage, byValue, withFilter } from "./rows";

const answer = (rows: Record<string, unknown>[]) => ({ kind: "", columns: [], rows, receipt: {} }) as unknown as Answer;

test("values, their names and what they filter by", () => {
  const rows = [
    { series: "People", breakdown: "DE", value: 5 },
    { series: "People", breakdown: "", value: 2 },
    { series: "People", breakdown: "Other", value: 1 },
    { series: "Events", breakdown: "DE", value: 9 },
    { series: "People", breakdown: "FR", value: 0 },
  ];
  expect(byValue(answer(rows), "@country", "value", { series: "People", name: countryName })).toEqual([
    { label: "Germany", value: 5, filter: { property: "@country", value: "DE" } },
    { label: "(none)", value: 2, filter: { property: "@country", op: "is_not_set" } },
    { label: "Other", value: 1, filter: null },
  ]);
});

test("pages filter by path, screens by name", () => {
  const rows = [
    { page: "/tea", views: 5, people: 3 },
    { page: "Start", views: 4, people: 2 },
    { page: "", views: 1, people: 1 },
  ];
  expect(byPage(answer(rows), "people", "views").map(({ filter, second }) => [filter, second])).toEqual([
    [{ property: "@path", value: "/tea" }, 5],
    [{ property: "@screen", value: "Start" }, 4],
    [null, 1],
  ]);
});

test("two lines side by side", () => {
  const one = (label: string, value: number) => ({ label, value, filter: null });
  expect(beside([one("a", 3), one("b", 2)], [one("a", 9)]).map(({ second }) => second)).toEqual([9, 0]);
});

test("one value a property; other conditions stay", () => {
  const more = { property: "@browser", op: "!=", value: "Safari" };
  const first = withFilter([more], { property: "@browser", value: "Chrome" });
  expect(first).toEqual([more, { property: "@browser", value: "Chrome" }]);
  expect(withFilter(first, { property: "@browser", value: "Firefox" })).toEqual([
    more,
    { property: "@browser", value: "Firefox" },
  ]);
  expect(withFilter(first, { property: "@browser", value: "Chrome" })).toBe(first);
  expect(withFilter(first, { property: "@os", op: "is_not_set" })).toHaveLength(3);
});
