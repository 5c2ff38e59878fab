/** What a number counts, and how it is said. */

import { duration, MISSING, percent, short, whole } from "../format";

/** count: whole things; share: 0 to 1; seconds; money; number: anything else. */
export type Unit = "count" | "number" | "share" | "seconds" | "money";

/** The unit of a column by its name: the house's columns say it. */
export function unitOf(column: string): Unit {
  if (/(^|_)(rate|share|ratio|power)$|_rate_|^rate_|^chance/.test(column)) return "share";
  if (/(^|_)seconds($|_)/.test(column)) return "seconds";
  if (/(^|_)(revenue|cost|cpa|lifetime_value)($|_)/.test(column)) return "money";
  if (
    /(^|_)(count|people|sessions|events|conversions|views|entries|exits|users|visitors|size|total|used|active|new)$/.test(
      column,
    )
  )
    return "count";
  return "number";
}

/** Short, for axes, labels and tiles. `of`: what it is counted in, such as EUR. */
export function said(value: number | null | undefined, unit: Unit, of = ""): string {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  if (unit === "share") return percent(value);
  if (unit === "seconds") return duration(value);
  return withUnit(short(value), of);
}

/** In full, for tables, tooltips and screen readers. */
export function saidInFull(value: number | null | undefined, unit: Unit, of = ""): string {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  if (unit === "share") return percent(value);
  if (unit === "seconds") return duration(value);
  if (unit === "money") return withUnit(whole(Math.round(value * 100) / 100), of);
  return withUnit(whole(Number(value.toPrecision(12))), of);
}

/** A step between ticks of an axis of times: about `count` of them, each a whole minute, hour or day; 0 below a second. */
export function secondsStep(greatest: number, count: number): number {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
  const wanted = greatest / count;
  if (wanted < 0.5) return 0;
  return steps.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
}

function withUnit(text: string, of: string): string {
  if (!of) return text;
  return of === "%" ? `${text} %` : `${text} ${of}`;
}

/** A column's name as words: "average_seconds_from_previous" → "Average time from previous". */
export function words(column: string): string {
  const plain = column
    .replace(/^@/, "")
    .replace(/_seconds$/, "_time")
    .replace(/_seconds_/, "_time_")
    .replaceAll("_", " ")
    .trim();
  const known: Record<string, string> = {
    p25: "first quarter",
    p75: "third quarter",
    cpa: "CPA",
    roas: "ROAS",
    roi: "ROI",
  };
  const text =
    known[plain] ?? plain.replace(/^p(\d\d) /, "$1th percentile of ").replace(/^p(\d\d)$/, "$1th percentile");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Whether a change of a count is what chance alone would make of it: within two standard deviations of the difference of two Poisson
 * counts. Of anything but counts nobody knows. */
export function withinNoise(now: number, before: number, unit: Unit): boolean {
  if (unit !== "count" || now < 0 || before < 0) return false;
  return Math.abs(now - before) <= 2 * Math.sqrt(now + before);
}
