/** Rows as series over time, in an order, or by names: what most kinds come down to. */

import type { Row } from "../api/types";
import { emptyLine, type Line, type Pivot, pivot, type Series } from "./readings";
import { intervalOf, missing, wall } from "./time";
import type { ChartType } from "./types";
import type { Unit } from "./units";

export interface SeriesPlan extends Omit<Pivot, "unit"> {
  axis: Series["axis"];
  unit: Unit;
  axisName?: string;
  interval?: string;
  adds?: Series["adds"];
  addsOverTime?: boolean;
  countries?: boolean;
  valueName: string;
}

/** Null where rows do not make series: two claim the same place. */
export function series({ rows }: { rows: Row[] }, how: SeriesPlan): Series | null {
  const found = pivot(rows, how);
  if (!found?.keys.length) return null;
  const { keys, labels, lines } = how.axis === "time" ? inTime(found, how.interval) : found;
  const reading: Series = {
    form: "series",
    types: [],
    axis: how.axis,
    keys,
    labels,
    axisName: how.axisName ?? "",
    interval: how.axis === "time" ? (how.interval ?? intervalOf(keys)) : "",
    lines,
    unit: how.unit,
    valueName: how.valueName,
    adds: how.adds ?? "no",
    addsOverTime: how.addsOverTime ?? false,
    countries: how.countries ?? false,
  };
  reading.types = seriesTypes(reading);
  return reading;
}

/** What fits these series, the best first. */
export function seriesTypes(reading: Series): ChartType[] {
  const several = reading.lines.length > 1;
  const whole = reading.adds !== "no" && reading.lines.every((line) => line.values.every((value) => (value ?? 0) >= 0));
  const stacked: ChartType[] = several && whole ? ["stacked"] : [];
  if (reading.axis === "time" && reading.keys.length === 1) return ["number", "bar", ...stacked, "table"];
  if (reading.axis === "time") return ["line", "area", "bar", ...stacked, "number", "table"];
  if (reading.axis === "order") return ["line", "bar", ...stacked, "table"];
  const map: ChartType[] = reading.countries && !several ? ["map"] : [];
  const pie: ChartType[] = !several && whole && reading.keys.length > 1 ? ["pie"] : [];
  return [...map, "bar", ...stacked, ...pie, ...(reading.keys.length <= 6 ? (["number"] as const) : []), "table"];
}

/** The same, with bars as what fits best. */
export function barred(reading: Series | null): Series | null {
  if (reading) reading.types = ["bar", ...reading.types.filter((type) => type !== "bar")];
  return reading;
}

/** Sorted by time, with a gap for each period that is not there. */
function inTime(found: { keys: string[]; labels: string[]; lines: Line[] }, interval = intervalOf(found.keys)) {
  const gaps = missing(found.keys, interval);
  const keys = [...found.keys, ...gaps].sort((one, other) => wall(one) - wall(other) || (one < other ? -1 : 1));
  const from = keys.map((key) => found.keys.indexOf(key));
  const lines = found.lines.map((line): Line => {
    const empty = emptyLine(line.name, keys.length, line.unit);
    const pick = <T>(values: T[], none: T) => from.map((place) => (place < 0 ? none : (values[place] ?? none)));
    return {
      ...empty,
      other: line.other,
      values: pick(line.values, null),
      before: line.before && pick(line.before, null),
      complete: pick(line.complete, true),
      rows: pick(line.rows, null),
    };
  });
  return { keys, labels: keys, lines };
}
