import { expect, test } from "vitest";
import { hoursOf, intervalFor, rangeOf } from "./ranges";

const NOW = Date.parse("2026-11-21T12:00:00Z");

test("a range's length in hours", () => {
  expect(hoursOf({ last: "7 days" }, NOW)).toBe(168);
  expect(hoursOf({ date_from: "2026-11-01", date_to: "2026-11-02" }, NOW)).toBe(48);
  expect(hoursOf({ date_from: "2026-11-21T10:00:00Z" }, NOW)).toBe(2);
  expect(hoursOf({ date_from: "-12h", date_to: "-1h" }, NOW)).toBe(12);
  expect(hoursOf({ date_from: "yesterday", date_to: "yesterday" }, NOW)).toBe(24);
  expect(hoursOf({ date_from: "-0m" }, NOW)).toBe(20 * 24 + 12);
  expect(hoursOf({ date_from: "-1m", date_to: "-1m" }, NOW)).toBe(31 * 24);
  expect(hoursOf({ date_from: "some day" }, NOW)).toBeNull();
  expect(hoursOf({}, NOW)).toBeNull();
});

test("lines have a readable number of points", () => {
  expect(intervalFor({ last: "1 hour" }, NOW)).toBe("minute");
  expect(intervalFor({ date_from: "2026-11-20", date_to: "2026-11-20" }, NOW)).toBe("hour");
  expect(intervalFor({ last: "30 days" }, NOW)).toBe("day");
  expect(intervalFor({ last: "12 months" }, NOW)).toBe("week");
  expect(intervalFor({ last: "5 years" }, NOW)).toBe("month");
});

test("a point of the chart stands for its own range", () => {
  expect(rangeOf("2026-11-20", "day")).toEqual({ date_from: "2026-11-20", date_to: "2026-11-20" });
  expect(rangeOf("2026-11-16", "week")).toEqual({ date_from: "2026-11-16", date_to: "2026-11-22" });
  expect(rangeOf("2026-02-01", "month")).toEqual({ date_from: "2026-02-01", date_to: "2026-02-28" });
  expect(rangeOf("2026-11-20T13:00:00+01:00", "hour")).toEqual({
    date_from: "2026-11-20T13:00:00+01:00",
    date_to: "2026-11-20T13:00:00.000Z",
  });
  expect(rangeOf("2026-11-20T13:01:00+01:00", "minute")).toBeNull();
});
