import { expect, test } from "vitest";
import { isMoment, lastOf, PRESETS, rangeWords, sameRange } from "./range";

test("a range is said as people say it", () => {
  expect(rangeWords({ last: "30 days" })).toBe("Last 30 days");
  expect(rangeWords({ last: "1 day" })).toBe("Last 1 day");
  expect(rangeWords({ date_from: "2026-11-01", date_to: "2026-11-15" })).toBe("1–15 Nov 2026");
  expect(rangeWords({ date_from: "2026-10-28", date_to: "2026-11-03" })).toBe("28 Oct – 3 Nov 2026");
  expect(rangeWords({ date_from: "2025-12-28", date_to: "2026-01-03" })).toBe("28 Dec 2025 – 3 Jan 2026");
  expect(rangeWords({ date_from: "2026-11-01", date_to: "2026-11-01" })).toBe("1 Nov 2026");
  expect(rangeWords({ date_from: "2026-11-01" })).toBe("Since 1 Nov 2026");
  expect(rangeWords({ date_from: "-0m" })).toBe("This month");
  expect(rangeWords({ date_from: "-2w" })).toBe("Since 2 weeks ago");
  expect(rangeWords({ date_to: "2026-11-01T12:00:00" })).toBe("Until 2026-11-01 12:00:00");
  expect(rangeWords({}, "All time")).toBe("All time");
});

test("lengths are read as the server reads them", () => {
  expect(lastOf("12 Hours")).toEqual({ count: 12, unit: "hour" });
  expect(lastOf("fortnight")).toBeNull();
  expect(lastOf(undefined)).toBeNull();
});

test("ends of a range", () => {
  for (const good of ["2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00", "-30d", "-90min", "today", "now"])
    expect(isMoment(good)).toBe(true);
  for (const bad of ["", "soon", "2026-13-01", "31.1.2026", "-3x"]) expect(isMoment(bad)).toBe(false);
});

test("no two presets are the same", () => {
  for (const one of PRESETS) expect(PRESETS.filter((other) => sameRange(one.range, other.range))).toHaveLength(1);
});
