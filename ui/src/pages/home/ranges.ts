/** How fine a range is drawn, and which range a point of the chart stands for. */

import type { Range } from "../../api/types";
import type { Interval } from "./questions";

const HOURS: Record<string, number> = {
  minute: 1 / 60,
  hour: 1,
  day: 24,
  week: 168,
  month: 730,
  quarter: 2190,
  year: 8760,
};
const STEPS: Record<string, string> = {
  min: "minute",
  h: "hour",
  d: "day",
  w: "week",
  m: "month",
  q: "quarter",
  y: "year",
};

/** About how many hours a range spans; null when it cannot be told. */
export function hoursOf(range: Range, now: number = Date.now()): number | null {
  const last = /^(\d+)\s*(minute|hour|day|week|month|quarter|year)s?$/.exec((range.last ?? "").trim().toLowerCase());
  if (last) return Number(last[1]) * (HOURS[last[2] ?? ""] ?? 0);
  if (!range.date_from) return null;
  const from = instant(range.date_from, now, false);
  const to = range.date_to ? instant(range.date_to, now, true) : now;
  return from === null || to === null ? null : Math.max(0, (to - from) / 3_600_000);
}

function instant(text: string, now: number, end: boolean): number | null {
  if (text === "now") return now;
  if (text === "today") return periodAt(now, "day", 0, end);
  if (text === "yesterday") return periodAt(now, "day", 1, end);
  const back = /^-(\d+)(min|h|d|w|m|q|y)$/.exec(text);
  if (back) return periodAt(now, STEPS[back[2] ?? ""] ?? "day", Number(back[1]), end);
  const at = Date.parse(text.length === 10 ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(at)) return null;
  return text.length === 10 && end ? at + 86_400_000 : at;
}

/** Where the period so many back begins, or ends: days and longer by UTC, which is near enough to choose an interval. */
function periodAt(now: number, unit: string, back: number, end: boolean): number {
  const count = end ? 1 - back : -back;
  const months: Record<string, number> = { month: 1, quarter: 3, year: 12 };
  const length = months[unit];
  if (length === undefined) {
    const size = (HOURS[unit] ?? 24) * 3_600_000;
    return Math.floor(now / size) * size + count * size;
  }
  const at = new Date(now);
  const first = Math.floor(at.getUTCMonth() / length) * length;
  return Date.UTC(at.getUTCFullYear(), first + count * length, 1);
}

/** The interval that makes a readable line of a range: some 24 to 100 points. */
export function intervalFor(range: Range, now: number = Date.now()): Interval {
  const hours = hoursOf(range, now);
  if (hours === null) return "day";
  if (hours <= 2) return "minute";
  if (hours <= 72) return "hour";
  if (hours <= 24 * 100) return "day";
  return hours <= 24 * 730 ? "week" : "month";
}

/** The range of one period of the chart, which begins at `period` as answers write it; null where there is nothing finer to see. */
export function rangeOf(period: string, interval: Interval): Range | null {
  if (interval === "minute") return null;
  if (interval === "hour") {
    const start = Date.parse(period);
    return Number.isNaN(start) ? null : { date_from: period, date_to: new Date(start + 3_600_000).toISOString() };
  }
  const first = new Date(`${period.slice(0, 10)}T00:00:00Z`);
  if (Number.isNaN(first.getTime())) return null;
  const last = new Date(first);
  if (interval === "week") last.setUTCDate(last.getUTCDate() + 6);
  if (interval === "month") last.setUTCMonth(last.getUTCMonth() + 1, 0);
  return { date_from: first.toISOString().slice(0, 10), date_to: last.toISOString().slice(0, 10) };
}
