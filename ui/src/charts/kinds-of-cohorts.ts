/** Kinds whose answers are cohorts, each followed from its start on. */

import type { Row } from "../api/types";
import { type Asked, grouped, has, text } from "./kinds-asked";
import { series } from "./kinds-series";
import { type Cell, type Intervals, type Line, named, num, type Reading, type Triangle } from "./readings";
import { type Unit, words } from "./units";

export const RETAINED = ["rate", "value_per_person", "value_rate", "value"];

export function retention(asked: Asked): (Reading | null)[] {
  const period = text(asked.question.period, "day");
  const axisName = `${words(`${period}s`)} after`;
  const unit = asked.measure === "value" || asked.measure === "value_per_person" ? "money" : "share";
  const label = (row: Row) => named(row.bracket ?? row.period);
  if (!has(asked, "cohort")) {
    const by = has(asked, "breakdown") ? ["breakdown"] : [];
    const found = series(asked, {
      x: "period",
      y: asked.measure,
      ...(/rate|person/.test(asked.measure) ? { wholeOf: "size" } : {}),
      by,
      axis: "order",
      unit,
      axisName,
      label,
      valueName: retained(asked.measure),
    });
    return [found];
  }
  const reading = triangle(asked, {
    column: "period",
    label,
    size: "size",
    unit,
    columnName: axisName,
    valueName: retained(asked.measure),
  });
  return [reading, meanOf(reading, axisName)];
}

function retained(measure: string): string {
  if (measure === "rate") return "Share who came back";
  return measure === "value_rate" ? "Share of the value of period 0" : words(measure);
}

export function lifetime(asked: Asked): (Reading | null)[] {
  const { rows, measure, question } = asked;
  if (has(asked, "expected_revenue")) {
    const items = rows.map((row) => ({
      name:
        [row.breakdown !== undefined ? named(row.breakdown) : "", row.cohort ? named(row.cohort) : ""]
          .filter(Boolean)
          .join(" · ") || "All",
      group: "",
      value: num(row, "expected_revenue") ?? Number.NaN,
      low: num(row, "expected_revenue_low"),
      high: num(row, "expected_revenue_high"),
      sure: null,
      about: `${num(row, "size") ?? 0} people`,
      row,
    }));
    const found: Intervals = {
      form: "intervals",
      types: ["interval", "table"],
      unit: "money",
      axisName: "Expected revenue within the horizon, with its 95 % interval",
      reference: null,
      logarithmic: false,
      items: items.filter((item) => Number.isFinite(item.value)),
    };
    return [found.items.length ? found : null];
  }
  const axisName = `${words(`${text(question.period, "month")}s`)} since the start`;
  if (!has(asked, "cohort")) {
    const by = has(asked, "breakdown") ? ["breakdown"] : [];
    return [
      series(asked, { x: "period", y: measure, by, axis: "order", unit: "money", axisName, valueName: words(measure) }),
    ];
  }
  const label = (row: Row) => named(row.period);
  const reading = triangle(asked, {
    column: "period",
    label,
    size: "size",
    unit: "money",
    columnName: axisName,
    valueName: words(measure),
  });
  return [reading, measure === "lifetime_value" ? meanOf(reading, axisName) : null];
}

function triangle(
  { rows, measure }: Asked,
  how: { column: string; label: (row: Row) => string; size: string; unit: Unit; columnName: string; valueName: string },
): Triangle {
  const columns = new Map<number, string>();
  for (const row of rows) columns.set(num(row, how.column) ?? 0, how.label(row));
  const places = [...columns.keys()].sort((one, other) => one - other);
  const groups = grouped(rows, "breakdown").map(([name, mine]) => {
    const cohorts = grouped(mine, "cohort").map(([label, cells]) => ({
      label,
      size: cells[0] ? (num(cells[0], how.size) ?? 0) : 0,
      cells: places.map((place): Cell | null => {
        const row = cells.find((cell) => num(cell, how.column) === place);
        if (!row) return null;
        const value = num(row, how.size) === 0 ? null : num(row, measure);
        return { value, count: num(row, "count"), complete: row.complete !== false, row };
      }),
    }));
    return { name, cohorts, mean: places.map((_, place) => weightedMean(cohorts, place)) };
  });
  const types: Triangle["types"] = ["retention", "table"];
  return { form: "triangle", types, columns: places.map((place) => columns.get(place) ?? ""), ...how, groups };
}

/** Of the cohorts that are complete there, weighted by their size; null where there is none. */
function weightedMean(cohorts: { size: number; cells: (Cell | null)[] }[], place: number): number | null {
  let sum = 0;
  let people = 0;
  for (const { size, cells } of cohorts) {
    const cell = cells[place];
    if (!cell?.complete || cell.value === null || size === 0) continue;
    sum += cell.value * size;
    people += size;
  }
  return people ? sum / people : null;
}

/** The weighted mean as a line. */
function meanOf(reading: Triangle, axisName: string): Reading | null {
  const lines = reading.groups.map((group): Line => {
    const rows = new Array<Row | null>(reading.columns.length).fill(null);
    const complete = new Array<boolean>(reading.columns.length).fill(true);
    return { name: group.name, values: group.mean, before: null, complete, rows, unit: reading.unit, other: false };
  });
  if (lines.every((line) => line.values.every((value) => value === null))) return null;
  const keys = reading.columns;
  const valueName = `${reading.valueName}, weighted mean of the complete cohorts`;
  return {
    ...{
      form: "series",
      axis: "order",
      keys,
      labels: keys,
      axisName,
      interval: "",
      lines,
      unit: reading.unit,
      valueName,
    },
    ...{ adds: "no", addsOverTime: false, countries: false, types: ["line", "bar"] },
  };
}
