/** Periods on a time axis. Answers name them by their local start: "2026-01-05", or an instant with its offset. */

import type { Row } from "../api/types";

const DAY = 86_400_000;
const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/;

/** Whether a text is a date or an instant. */
export function isTime(value: unknown): value is string {
  return typeof value === "string" && DATE.test(value);
}

/** The wall clock's reading as if it were of UTC, in ms: periods keep their local names whatever the offset. */
export function wall(period: string): number {
  const found = DATE.exec(period);
  if (!found) return Number.NaN;
  const [, year, month, day, hour = "0", minute = "0", second = "0"] = found;
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
}

/** Where an instant or a date lies on the wall clock of a zone. */
export function wallOf(at: string, zone: string): number {
  if (!/(Z|[+-]\d\d:?\d\d)$/.test(at)) return wall(at);
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).formatToParts(new Date(at));
  const part = (type: string) => Number(parts.find((one) => one.type === type)?.value ?? 0);
  return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
}

/** The interval of periods by their distance, where the question does not say it. */
export function intervalOf(keys: string[]): string {
  const times = keys.map(wall).sort((one, other) => one - other);
  let least = Number.POSITIVE_INFINITY;
  for (let place = 1; place < times.length; place += 1) {
    const apart = (times[place] ?? 0) - (times[place - 1] ?? 0);
    if (apart > 0 && apart < least) least = apart;
  }
  if (!Number.isFinite(least)) return keys.some((key) => key.length > 10 && !/[T ]00:00/.test(key)) ? "hour" : "day";
  if (least < 3_600_000) return "minute";
  if (least < DAY) return "hour";
  if (least < 7 * DAY) return "day";
  if (least < 28 * DAY) return "week";
  if (least < 89 * DAY) return "month";
  return least < 365 * DAY ? "quarter" : "year";
}

/** The periods that lie between the first and the last key and have none: what is not there is a gap, not a short cut. Only where periods
 * are of one length, and not for more than `most`. */
export function missing(keys: string[], interval: string, most = 2000): string[] {
  const length = { minute: 60_000, hour: 3_600_000, day: DAY, week: 7 * DAY }[interval];
  if (!length || keys.length < 2 || keys.some((key) => key.length !== keys[0]?.length)) return [];
  const times = new Set(keys.map(wall));
  const first = Math.min(...times);
  const last = Math.max(...times);
  const count = (last - first) / length;
  if (!Number.isInteger(count) || count > most || [...times].some((time) => (time - first) % length !== 0)) return [];
  const found: string[] = [];
  const tail = (keys[0] ?? "").slice(19);
  for (let time = first; time <= last; time += length) {
    if (times.has(time)) continue;
    const text = new Date(time).toISOString();
    found.push((keys[0] ?? "").length === 10 ? text.slice(0, 10) : text.slice(0, 19) + tail);
  }
  return found;
}

const FORMATS: Record<string, Intl.DateTimeFormatOptions> = {
  minute: { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" },
  hour: { weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" },
  day: { weekday: "short", day: "numeric", month: "short", year: "numeric" },
  week: { day: "numeric", month: "short", year: "numeric" },
  month: { month: "long", year: "numeric" },
  year: { year: "numeric" },
};

function written(at: number, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" }).format(new Date(at)).replace(" at ", ", ");
}

/** A period in full: "Mon, 5 Jan 2026", "Week of 5 Jan 2026", "January 2026", "Q1 2026". */
export function inFull(period: string, interval: string): string {
  const at = wall(period);
  if (Number.isNaN(at)) return period;
  if (interval === "quarter")
    return `Q${Math.floor(new Date(at).getUTCMonth() / 3) + 1} ${new Date(at).getUTCFullYear()}`;
  const text = written(at, FORMATS[interval] ?? FORMATS.day ?? {});
  return interval === "week" ? `Week of ${text}` : text;
}

/** A period at the axis, as short as its neighbours allow. */
export function atAxis(period: string, interval: string, previous: string | null): string {
  const at = wall(period);
  if (Number.isNaN(at)) return period;
  const before = previous === null ? Number.NaN : wall(previous);
  const newYear = Number.isNaN(before) || new Date(before).getUTCFullYear() !== new Date(at).getUTCFullYear();
  if (interval === "year") return String(new Date(at).getUTCFullYear());
  if (interval === "quarter") return inFull(period, interval);
  if (interval === "month") return written(at, newYear ? { month: "short", year: "numeric" } : { month: "short" });
  if (interval === "minute" || interval === "hour") {
    const newDay = Number.isNaN(before) || Math.floor(before / DAY) !== Math.floor(at / DAY);
    return newDay
      ? written(at, { day: "numeric", month: "short" })
      : written(at, { hour: "2-digit", minute: "2-digit" });
  }
  return written(
    at,
    newYear && !Number.isNaN(before)
      ? { day: "numeric", month: "short", year: "numeric" }
      : { day: "numeric", month: "short" },
  );
}

/** Whether a day is a Saturday or a Sunday. */
export function isWeekend(period: string): boolean {
  const day = new Date(wall(period)).getUTCDay();
  return day === 0 || day === 6;
}

/** The range of dates of a row's period, for a look into it; null where the row has none. */
export function rangeOf(row: Row | null, interval: string): { date_from: string; date_to: string } | null {
  const period = row?.period;
  if (!isTime(period)) return null;
  const at = wall(period);
  const from = new Date(at).toISOString().slice(0, 10);
  const end = new Date(at);
  if (interval === "week") end.setUTCDate(end.getUTCDate() + 6);
  else if (interval === "month") end.setUTCMonth(end.getUTCMonth() + 1, 0);
  else if (interval === "quarter") end.setUTCMonth(end.getUTCMonth() + 3, 0);
  else if (interval === "year") end.setUTCFullYear(end.getUTCFullYear(), 11, 31);
  else if (interval !== "day" && interval !== "hour" && interval !== "minute") return null;
  return { date_from: from, date_to: end.toISOString().slice(0, 10) };
}
