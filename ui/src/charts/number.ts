/** Numbers as tiles show them: the value, its change, a spark line, how far the target is. */

import { change } from "../format";
import type { Context } from "./drawing";
import type { Figures, Line, Series } from "./readings";
import { inFull } from "./time";
import type { NumberTile } from "./types";
import { said, saidInFull, type Unit, withinNoise } from "./units";

/** More numbers than these are a table. */
const MOST = 9;

export function numbersOf(reading: Series | Figures, context: Context): NumberTile[] {
  if (reading.form === "figures") {
    return reading.items
      .slice(0, MOST)
      .map((item) =>
        tile(item.name, item.value, item.before, item.unit, context, { growing: !item.complete, row: item.row }),
      );
  }
  const hidden = new Set(context.options.hidden ?? []);
  const lines = reading.lines.filter((line) => !hidden.has(line.name));
  if (reading.axis === "time") return lines.slice(0, MOST).map((line) => overTime(line, reading, context));
  return lines
    .flatMap((line) =>
      reading.keys.map((_, place) => {
        const name = [line.name, reading.labels[place] ?? ""].filter(Boolean).join(" · ");
        const more = { growing: line.complete[place] === false, row: line.rows[place] ?? null };
        return tile(
          name || reading.valueName,
          line.values[place] ?? null,
          line.before?.[place] ?? null,
          line.unit,
          context,
          more,
        );
      }),
    )
    .slice(0, MOST);
}

/** Of what adds up, the whole range; of anything else the last period that is complete: people of days are not people of a month. */
function overTime(line: Line, reading: Series, context: Context): NumberTile {
  const open = line.complete.length - 1 - line.complete.findLastIndex((complete) => complete);
  const spark = { spark: line.values, sparkGrowing: Math.min(open, line.values.length) };
  const name = line.name || reading.valueName;
  if (reading.addsOverTime) {
    const before = line.before && sum(line.before);
    return tile(name, sum(line.values), before, line.unit, context, { ...spark, growing: open > 0 });
  }
  const last = line.complete.findLastIndex((complete, place) => complete && line.values[place] !== null);
  const place = last < 0 ? line.values.findLastIndex((value) => value !== null) : last;
  const before = line.before
    ? (line.before[place] ?? null)
    : place > 0 && line.complete[place - 1]
      ? (line.values[place - 1] ?? null)
      : null;
  const when = place < 0 ? "" : inFull(reading.keys[place] ?? "", reading.interval);
  return tile(name, line.values[place] ?? null, before, line.unit, context, {
    ...spark,
    when,
    growing: last < 0,
    row: line.rows[place] ?? null,
  });
}

const sum = (values: (number | null)[]): number | null => {
  const there = values.filter((value) => value !== null);
  return there.length ? there.reduce((one, other) => one + other, 0) : null;
};

function tile(
  label: string,
  value: number | null,
  before: number | null,
  unit: Unit,
  context: Context,
  more: Partial<NumberTile>,
): NumberTile {
  const { of, options } = context;
  const compared = value !== null && before !== null && before !== 0;
  return {
    label,
    value,
    said: said(value, unit, of),
    full: saidInFull(value, unit, of),
    when: "",
    before,
    change: compared ? change(value, before) : "",
    beforeSaid: before === null ? "" : saidInFull(before, unit, of),
    direction: !compared ? "none" : value > before ? "up" : value < before ? "down" : "same",
    noise: compared ? withinNoise(value, before, unit) : false,
    growing: false,
    spark: [],
    sparkGrowing: 0,
    target:
      options.target && value !== null
        ? { value: options.target, said: said(options.target, unit, of), share: value / options.target }
        : null,
    row: null,
    ...more,
  };
}

/** Points of a spark line in a box, as paths: what is complete, and what is not yet. Gaps are gaps. */
export function sparkPaths(
  values: (number | null)[],
  growing: number,
  width: number,
  height: number,
): { solid: string; dashed: string } {
  const there = values.filter((value) => value !== null);
  if (there.length < 2) return { solid: "", dashed: "" };
  const least = Math.min(0, ...there);
  const span = Math.max(...there, 0) - least || 1;
  const at = (place: number) => {
    const value = values[place] ?? null;
    if (value === null) return null;
    const x = 1 + (place * (width - 2)) / (values.length - 1);
    return `${x.toFixed(1)} ${(height - 1 - ((value - least) / span) * (height - 2)).toFixed(1)}`;
  };
  const path = (from: number, to: number) => {
    let drawn = "";
    let pen = false;
    for (let place = Math.max(from, 0); place <= to; place += 1) {
      const point = at(place);
      if (point) drawn += `${pen ? "L" : "M"}${point}`;
      pen = point !== null;
    }
    return drawn;
  };
  const last = values.length - 1;
  return { solid: path(0, last - growing), dashed: growing > 0 ? path(last - growing, last) : "" };
}
