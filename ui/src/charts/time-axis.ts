/** What stands at and on an axis of periods: labels, weekends, flags. */

import type { MarkLineComponentOption } from "echarts";
import { type Context, cut, widthOf } from "./drawing";
import { faded, type Palette } from "./palette";
import type { Series } from "./readings";
import { atAxis, inFull, isWeekend, wall, wallOf } from "./time";

/** Beyond so many days weekends would be a pattern, not a mark. */
const MOST_DAYS = 93;

/** A key in full: the day in words, or the label with what it counts. */
export function spoken(reading: Series, place: number): string {
  const key = reading.keys[place] ?? "";
  if (reading.axis === "time") return inFull(key, reading.interval);
  const label = reading.labels[place] ?? key;
  return reading.axisName ? `${reading.axisName}: ${label}` : label;
}

/** Which places are labelled, so that labels have room, and how. */
export function labelled(reading: Series, width: number): { ticks: Set<number>; label: (place: number) => string } {
  const { keys, interval } = reading;
  if (reading.axis !== "time") {
    const longest = Math.max(...reading.labels.map(widthOf), 8) + 12;
    const step = Math.max(1, Math.ceil((keys.length * longest) / Math.max(width, 1)));
    const ticks = new Set(keys.map((_, place) => place).filter((place) => place % step === 0));
    return { ticks, label: (place) => cut(reading.labels[place] ?? "", 160) };
  }
  const needed = interval === "quarter" ? 64 : interval === "month" || interval === "year" ? 52 : 58;
  const least = Math.max(1, Math.ceil((keys.length * needed) / Math.max(width, 1)));
  const step = rounded(least, interval);
  const first = anchor(keys, interval, step);
  const ticks = new Set(
    keys.map((_, place) => place).filter((place) => place >= first && (place - first) % step === 0),
  );
  return {
    ticks,
    label: (place) => {
      const before = place - step;
      return atAxis(keys[place] ?? "", interval, before >= 0 ? (keys[before] ?? null) : null);
    },
  };
}

function rounded(step: number, interval: string): number {
  const good: Record<string, number[]> = {
    minute: [1, 5, 10, 15, 30, 60, 120, 360, 720, 1440],
    hour: [1, 2, 3, 6, 12, 24, 48, 72, 168],
    day: [1, 2, 7, 14, 28, 56, 91],
    week: [1, 2, 4, 8, 13, 26, 52],
    month: [1, 2, 3, 6, 12, 24],
    quarter: [1, 2, 4, 8],
  };
  return (good[interval] ?? []).find((one) => one >= step) ?? step;
}

/** The first place that is labelled: midnight, a Monday, January, where steps are long enough for it. */
function anchor(keys: string[], interval: string, step: number): number {
  const fits = (test: (at: Date) => boolean) =>
    Math.max(
      0,
      keys.slice(0, step).findIndex((key) => test(new Date(wall(key)))),
    );
  if (interval === "day" && step >= 7) return fits((at) => at.getUTCDay() === 1);
  if (interval === "hour" && step > 1) return fits((at) => at.getUTCHours() % Math.min(step, 24) === 0);
  if (interval === "minute" && step > 1)
    return fits((at) => (at.getUTCHours() * 60 + at.getUTCMinutes()) % Math.min(step, 1440) === 0);
  if (interval === "month" && step > 1) return fits((at) => at.getUTCMonth() % Math.min(step, 12) === 0);
  return 0;
}

/** Saturdays and Sundays as a quiet ground. */
export function weekends(reading: Series, palette: Palette) {
  const shown =
    reading.axis === "time" &&
    reading.interval === "day" &&
    reading.keys.length > 2 &&
    reading.keys.length <= MOST_DAYS;
  if (!shown) return { show: false };
  return {
    show: true,
    interval: 0,
    areaStyle: { color: reading.keys.map((key) => (isWeekend(key) ? palette.weekend : "transparent")) },
  };
}

/** At which place an instant lies; -1 for none. */
export function placeAt(reading: Series, at: string, zone: string): number {
  const moment = wallOf(at, zone);
  const times = reading.keys.map(wall);
  const place = times.findLastIndex((time) => time <= moment);
  const last = times.length - 1;
  const length = last > 0 ? (times[last] ?? 0) - (times[last - 1] ?? 0) : Number.POSITIVE_INFINITY;
  return place === last && moment >= (times[last] ?? 0) + length ? -1 : place;
}

/** Flags of releases and the like; null where none lies on the axis. */
export function annotationLines(reading: Series, context: Context): MarkLineComponentOption | null {
  if (reading.axis !== "time") return null;
  const { palette, options } = context;
  const placed = (options.annotations ?? []).map((one) => ({ ...one, place: placeAt(reading, one.at, options.zone) }));
  const there = placed.filter((one) => one.place >= 0);
  if (!there.length) return null;
  const room = Math.min(140, context.width / there.length);
  return {
    silent: true,
    symbol: ["none", "none"],
    animation: false,
    lineStyle: { color: faded(palette.faint, 0.6), width: 1, type: "solid" },
    label: { color: palette.faint, fontSize: 11, fontFamily: palette.font, position: "end", distance: 2 },
    data: there.map((one) => ({
      xAxis: one.place,
      label: {
        formatter: room < 60 || options.compact ? "⚑" : `⚑ ${cut(one.text, room - 16)}`,
        align: one.place > reading.keys.length / 2 ? "right" : "left",
      },
    })),
  };
}
