/** The kinds of question whose answers have a shape of their own. Whatever is not named here is drawn by its columns (generic.ts). */

import type { Question, Row } from "../api/types";
import { barred, series } from "./kinds-series";
import {
  type Bins,
  type Boxes,
  type Cell,
  type Flow,
  type Intervals,
  type Line,
  named,
  num,
  type Reading,
  type Triangle,
} from "./readings";
import type { Measure } from "./types";
import { type Unit, unitOf, words } from "./units";

export interface Asked {
  question: Question;
  rows: Row[];
  measure: string;
}

export interface KindOfChart {
  measures?: (asked: Asked) => string[];
  read: (asked: Asked) => (Reading | null)[];
  /** Its rows are not made of people. */
  nobody?: boolean;
}

const has = (asked: Asked, column: string) => asked.rows.some((row) => column in row);
const text = (value: unknown, fallback: string) => (typeof value === "string" && value ? value : fallback);

/** What a line of a question measures: its unit, and whether its values add up. */
function measured(line: unknown): { unit: Unit; adds: "yes" | "people" | "no"; overTime: boolean } {
  if (typeof line === "string") return { unit: "count", adds: "yes", overTime: true };
  const of = (line ?? {}) as Record<string, unknown>;
  if (of.formula) return { unit: "number", adds: "no", overTime: false };
  const measure = text(of.measure, "count");
  if (of.over)
    return {
      unit: measure === "sum" ? "number" : "count",
      adds: measure === "unique" ? "people" : "yes",
      overTime: false,
    };
  if (measure === "count") return { unit: "count", adds: "yes", overTime: true };
  if (measure === "unique") return { unit: "count", adds: "people", overTime: false };
  const unit: Unit =
    of.property === "@revenue" ? "money" : /seconds$|duration/.test(text(of.property, "")) ? "seconds" : "number";
  return { unit, adds: measure === "sum" ? "yes" : "no", overTime: measure === "sum" };
}

function trend(asked: Asked): (Reading | null)[] {
  const { question, rows } = asked;
  const lines = (Array.isArray(question.series) ? question.series : []) as unknown[];
  const shown = lines.map(measured);
  const by = ["breakdown", "breakdown_2", "breakdown_3"].filter((column) => has(asked, column));
  const total = question.interval === "total";
  const adds = shown.some((one) => one.adds === "no")
    ? "no"
    : shown.some((one) => one.adds === "people")
      ? "people"
      : "yes";
  const same = new Set(shown.map((one) => one.unit)).size === 1 ? (shown[0]?.unit ?? "number") : "number";
  const property = breakdownProperty(question);
  const found = series(asked, {
    x: total ? (by[0] ?? "series") : "period",
    y: "value",
    by: total ? (by.length ? ["series", ...by.slice(1)] : []) : ["series", ...by],
    before: "previous",
    axis: total ? "category" : "time",
    unit: same,
    interval: text(question.interval, "day"),
    adds,
    addsOverTime: !question.cumulative && !question.moving_average && shown.every((one) => one.overTime),
    countries: total && by.length === 1 && /country$/.test(property),
    valueName: new Set(rows.map((row) => row.series)).size === 1 ? named(rows[0]?.series) : "Value",
  });
  if (found && total && !by.length) found.types = ["number", "bar", "table"];
  return [found];
}

function lifecycle(asked: Asked): (Reading | null)[] {
  const found = series(asked, {
    x: "period",
    y: "count",
    by: ["status", "breakdown"],
    axis: "time",
    unit: "count",
    interval: text(asked.question.interval, "day"),
    adds: "yes",
    valueName: "People",
  });
  if (found) found.types = ["stacked", "line", "area", "bar", "table"];
  return [found];
}

function stickiness(asked: Asked): (Reading | null)[] {
  return [
    series(asked, {
      x: "periods",
      y: asked.measure,
      by: ["series", "breakdown"],
      ...(asked.measure === "count" ? { before: "previous" } : {}),
      axis: "order",
      unit: unitOf(asked.measure),
      axisName: `${words(`${text(asked.question.interval, "day")}s`)} with activity`,
      adds: asked.measure === "count" ? "yes" : "no",
      valueName: asked.measure === "count" ? "People" : "Share of people",
    }),
  ];
}

const SESSION = ["sessions", "people", "sessions_per_person", "average_seconds", "median_seconds", "p90_seconds"];
const SESSIONS = [...SESSION, "events_per_session", "pages_per_session", "bounce_rate", "views", "entries", "exits"];

function session(asked: Asked): (Reading | null)[] {
  const { question, measure } = asked;
  const x = has(asked, "page") ? "page" : has(asked, "period") ? "period" : "breakdown";
  if (!has(asked, x))
    return [
      figures(
        asked,
        SESSIONS.filter((column) => has(asked, column)),
      ),
    ];
  const summed = /^(sessions|views|entries|exits)$/.test(measure);
  return [
    series(asked, {
      x,
      y: measure,
      by: x === "period" ? ["breakdown", "page"].filter((column) => has(asked, column)) : [],
      axis: x === "period" ? "time" : "category",
      unit: unitOf(measure),
      interval: text(question.interval, "day"),
      adds: summed && x !== "page" ? "yes" : measure === "people" ? "people" : "no",
      addsOverTime: summed,
      countries: x === "breakdown" && /country$/.test(breakdownProperty(question)),
      valueName: words(measure),
    }),
    points(asked, x, SESSIONS),
  ];
}

function adoption(asked: Asked): (Reading | null)[] {
  const { question, rows } = asked;
  const by = has(asked, "breakdown") ? ["breakdown"] : [];
  if (has(asked, "median_seconds")) return [boxes(rows, "breakdown", "Time to the first use")];
  if (has(asked, "period")) {
    return [
      series(asked, {
        x: "period",
        y: asked.measure,
        by,
        axis: "time",
        unit: unitOf(asked.measure),
        interval: text(question.period, "week"),
        adds: unitOf(asked.measure) === "count" ? "yes" : "no",
        addsOverTime: asked.measure === "new",
        valueName: words(asked.measure),
      }),
    ];
  }
  const curve = has(asked, "within_periods");
  const period = text(question.period, "week");
  const found = series(asked, {
    x: curve ? "within_periods" : "later_periods",
    y: "rate",
    by,
    axis: "order",
    unit: "share",
    axisName: curve ? `${words(`${period}s`)} since first seen` : `Later ${period}s with use`,
    valueName: curve ? "Share of newcomers" : "Share of new users",
  });
  return [curve ? found : barred(found)];
}

function attribution(asked: Asked): (Reading | null)[] {
  const { question, measure } = asked;
  const x = has(asked, "path") ? "path" : has(asked, "period") ? "period" : "touch";
  const found = series(asked, {
    x,
    y: measure,
    by: x === "period" ? ["touch", "model"] : x === "touch" ? ["model"] : [],
    say: (column, value) =>
      column === "path" ? pathName(value) : column === "touch" && value === "" ? "(no touch)" : named(value),
    axis: x === "period" ? "time" : "category",
    unit: /^(conversions|value|roas|roi)$/.test(measure) ? "number" : unitOf(measure),
    interval: text(question.interval, "day"),
    adds: x === "path" && /^(conversions|value|share)$/.test(measure) ? "yes" : "no",
    valueName: words(measure),
  });
  return [x === "period" ? found : barred(found), points(asked, "touch", ["conversions", "value", "cost"])];
}

function pathName(path: unknown): string {
  if (path === null || path === undefined) return "All further paths";
  return Array.isArray(path) && path.length === 0 ? "(no touch)" : named(path);
}

function distribution({ rows, question }: Asked): (Reading | null)[] {
  const { unit } = measured(question.of);
  const groups = grouped(rows, "breakdown");
  const reading: Bins = {
    form: "bins",
    types: ["histogram", "table"],
    unit,
    axisName: "Amount of a person",
    counted: "people",
    groups: groups.map(([name, mine]) => ({
      name,
      bins: mine.map((row) => ({
        from: num(row, "at_least"),
        to: num(row, "below"),
        count: num(row, "people") ?? 0,
        rate: num(row, "rate"),
        row,
      })),
      median: mine[0] ? num(mine[0], "median") : null,
      average: mine[0] ? num(mine[0], "average") : null,
    })),
  };
  return [reading];
}

function funnel(asked: Asked): (Reading | null)[] {
  const { rows, question, measure } = asked;
  const groups = grouped(rows, "breakdown");
  const counted = text(question.count, "people");
  if (has(asked, "step")) {
    return [
      {
        form: "steps",
        types: ["funnel", "table"],
        counted,
        groups: groups.map(([name, mine]) => ({
          name,
          steps: mine.map((row) => ({
            name: named(row.name),
            count: num(row, "count") ?? 0,
            fromFirst: num(row, "rate_from_first"),
            fromPrevious: num(row, "rate_from_previous"),
            median: num(row, "median_seconds_from_previous"),
            average: num(row, "average_seconds_from_previous"),
            row,
          })),
        })),
      },
    ];
  }
  if (has(asked, "bin_start_seconds")) {
    return [
      {
        form: "bins",
        types: ["histogram", "table"],
        unit: "seconds",
        axisName: "Time to convert",
        counted,
        groups: groups.map(([name, mine]) => ({
          name,
          bins: mine.map((row) => ({
            from: num(row, "bin_start_seconds"),
            to: num(row, "bin_end_seconds"),
            count: num(row, "count") ?? 0,
            rate: null,
            row,
          })),
          median: mine[0] ? num(mine[0], "median_seconds") : null,
          average: mine[0] ? num(mine[0], "average_seconds") : null,
        })),
      },
    ];
  }
  if (has(asked, "odds_ratio")) return [correlation(rows)];
  return [
    series(asked, {
      x: "period",
      y: measure,
      by: has(asked, "breakdown") ? ["breakdown"] : [],
      axis: "time",
      unit: unitOf(measure),
      interval: text(question.interval, "day"),
      adds: measure === "rate" ? "no" : "yes",
      addsOverTime: false,
      valueName: measure === "rate" ? "Conversion" : words(measure),
    }),
  ];
}

function correlation(rows: Row[]): Intervals {
  return {
    form: "intervals",
    types: ["interval", "table"],
    unit: "number",
    axisName: "Odds ratio: right of 1 goes with getting there",
    reference: 1,
    logarithmic: true,
    items: rows.map((row) => ({
      name:
        row.property && row.property !== "@event" ? `${named(row.property)}: ${named(row.value)}` : named(row.value),
      group: "",
      value: num(row, "odds_ratio") ?? 1,
      low: null,
      high: null,
      sure: typeof row.significant === "boolean" ? row.significant : null,
      about: `${num(row, "success_count") ?? 0} of ${num(row, "success_total") ?? 0} with, ${num(row, "failure_count") ?? 0} of ${num(row, "failure_total") ?? 0} without`,
      row,
    })),
  };
}

const RETAINED = ["rate", "value_per_person", "value_rate", "value"];

function retention(asked: Asked): (Reading | null)[] {
  const period = text(asked.question.period, "day");
  const axisName = `${words(`${period}s`)} after`;
  const unit = asked.measure === "value" || asked.measure === "value_per_person" ? "money" : "share";
  const label = (row: Row) => named(row.bracket ?? row.period);
  if (!has(asked, "cohort")) {
    const by = has(asked, "breakdown") ? ["breakdown"] : [];
    const found = series(asked, {
      x: "period",
      y: asked.measure,
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

function lifetime(asked: Asked): (Reading | null)[] {
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
        return row
          ? { value: num(row, measure), count: num(row, "count"), complete: row.complete !== false, row }
          : null;
      }),
    }));
    return { name, cohorts, mean: places.map((_, place) => weightedMean(cohorts, place)) };
  });
  const types: Triangle["types"] = ["retention", "table"];
  return { form: "triangle", types, columns: places.map((place) => columns.get(place) ?? ""), ...how, groups };
}

/** Of the cohorts that are complete there, weighted by their size; null where there is none. */
export function weightedMean(cohorts: { size: number; cells: (Cell | null)[] }[], place: number): number | null {
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

function path({ rows, question }: Asked): (Reading | null)[] {
  const counted = question.within === "person" ? "people" : "sessions";
  const flows = rows.map((row): Flow => {
    const place = num(row, "step") ?? 0;
    return {
      from: { place, name: named(row.from_node) },
      to: { place: place + 1, name: named(row.to_node) },
      value: num(row, "sessions") ?? 0,
      seconds: num(row, "median_seconds"),
      row,
    };
  });
  return [{ form: "flows", types: ["sankey", "table"], counted, flows }];
}

function segment(asked: Asked): (Reading | null)[] {
  if (has(asked, "from_segment")) {
    const flows = asked.rows.map(
      (row): Flow => ({
        from: { place: 0, name: named(row.from_segment) },
        to: { place: 1, name: named(row.to_segment) },
        value: num(row, "people") ?? 0,
        seconds: null,
        row,
      }),
    );
    return [
      { form: "flows", types: ["sankey", "table"], counted: "people", flows: flows.filter((flow) => flow.value > 0) },
    ];
  }
  const overlap = has(asked, "segments");
  const label = (row: Row) =>
    Array.isArray(row.segments) ? row.segments.map(named).join(" and ") : named(row.segments);
  const found = series(asked, {
    x: overlap ? "segments" : "period",
    y: overlap ? asked.measure : "people",
    by: overlap ? [] : ["segment"],
    axis: overlap ? "category" : "time",
    ...(overlap ? { label } : {}),
    unit: "count",
    interval: text(asked.question.interval, "day"),
    valueName: overlap && asked.measure === "people" ? "People in just these" : "People",
  });
  return [overlap ? barred(found) : found];
}

function experiment({ rows, question }: Asked): (Reading | null)[] {
  const shown = rows.filter((row) => num(row, "effect") !== null);
  const metrics = new Set(shown.map((row) => row.metric)).size;
  const reading: Intervals = {
    form: "intervals",
    types: ["interval", "table"],
    unit: question.effect === "absolute" ? "number" : "share",
    axisName:
      question.effect === "absolute" ? "Difference from the control" : "Difference from the control, as a share of it",
    reference: 0,
    logarithmic: false,
    items: shown.map((row) => ({
      name: [metrics > 1 ? named(row.metric) : "", named(row.variant), "breakdown" in row ? named(row.breakdown) : ""]
        .filter(Boolean)
        .join(" · "),
      group: named(row.metric),
      value: num(row, "effect") ?? 0,
      low: num(row, "low"),
      high: num(row, "high"),
      sure: typeof row.significant === "boolean" ? row.significant : null,
      about: `${num(row, "people") ?? 0} people`,
      row,
    })),
  };
  return [shown.length ? reading : null];
}

export function boxes(rows: Row[], name: string, axisName: string): Boxes {
  return {
    form: "boxes",
    types: ["box", "table"],
    unit: "seconds",
    axisName,
    lowName: "",
    highName: "90th percentile",
    items: rows.map((row) => ({
      name: name in row ? named(row[name]) : "All",
      low: null,
      quarter: num(row, "p25_seconds") ?? 0,
      median: num(row, "median_seconds") ?? 0,
      threeQuarters: num(row, "p75_seconds") ?? 0,
      high: num(row, "p90_seconds"),
      average: num(row, "average_seconds"),
      count: num(row, "people"),
      row,
    })),
  };
}

function figures({ rows }: Asked, columns: string[]): Reading {
  const row = rows[0] ?? {};
  return {
    form: "figures",
    types: ["number", "table"],
    items: columns.map((column) => ({
      name: words(column),
      value: num(row, column),
      before: null,
      unit: unitOf(column),
      complete: true,
      row,
    })),
  };
}

/** Two measures against each other, where an answer has them. */
export function points(asked: Asked, name: string, columns: string[]): Reading | null {
  const [x, y] = [asked.measure, ...columns.filter((column) => column !== asked.measure)].filter((column) =>
    has(asked, column),
  );
  if (!x || !y || !has(asked, name) || asked.rows.length < 3) return null;
  const items = asked.rows.flatMap((row) => {
    const [across, up] = [num(row, x), num(row, y)];
    return across === null || up === null ? [] : [{ name: named(row[name]), x: across, y: up, row }];
  });
  if (new Set(items.map((item) => item.name)).size < items.length) return null;
  return {
    form: "points",
    types: ["scatter"],
    x: { name: words(x), unit: unitOf(x) },
    y: { name: words(y), unit: unitOf(y) },
    items,
  };
}

function grouped(rows: Row[], column: string): [string, Row[]][] {
  const found = new Map<string, Row[]>();
  for (const row of rows) {
    const name = column in row ? named(row[column]) : "";
    const mine = found.get(name);
    if (mine) mine.push(row);
    else found.set(name, [row]);
  }
  return [...found.entries()];
}

/** The property by which a question splits, where it is one. */
export function breakdownProperty(question: Question): string {
  const given = Array.isArray(question.breakdown) ? question.breakdown[0] : question.breakdown;
  if (typeof given === "string") return given;
  const property = (given as Record<string, unknown> | null | undefined)?.property;
  return typeof property === "string" ? property : "";
}

const ADOPTED = ["used_rate", "adoption_rate", "new_rate", "used", "new", "active", "adopted", "reached"];
const CREDIT = ["conversions", "value", "share", "cost", "cpa", "roas", "roi"];
const present = (columns: string[]) => (asked: Asked) => columns.filter((column) => has(asked, column));

export const KINDS: Record<string, KindOfChart> = {
  trend: { read: trend },
  lifecycle: { read: lifecycle },
  stickiness: { read: stickiness, measures: () => ["count", "rate"] },
  session: { read: session, measures: present(SESSIONS) },
  adoption: { read: adoption, measures: (asked) => (has(asked, "period") ? present(ADOPTED)(asked) : []) },
  attribution: {
    read: attribution,
    measures: (asked) =>
      (asked.question.measure === "value" ? ["value", ...CREDIT.filter((one) => one !== "value")] : CREDIT).filter(
        (one) => has(asked, one),
      ),
  },
  distribution: { read: distribution },
  funnel: { read: funnel, measures: (asked) => (has(asked, "entered") ? ["rate", "completed", "entered"] : []) },
  retention: {
    read: retention,
    measures: (asked) => present(has(asked, "value") ? ["value_per_person", ...RETAINED] : RETAINED)(asked),
  },
  lifetime_value: {
    read: lifetime,
    measures: (asked) =>
      has(asked, "expected_revenue") ? [] : present(["lifetime_value", "cumulative", "revenue"])(asked),
  },
  path: { read: path },
  segment: { read: segment, measures: (asked) => (has(asked, "segments") ? ["people", "in_all"] : []) },
  experiment: { read: experiment },
  quality: { read: () => [], nobody: true },
  sql: { read: () => [], nobody: true },
};

export function measuresOf(columns: string[]): Measure[] {
  return [...new Set(columns)].map((name) => ({ name, label: words(name) }));
}
