/** Answers whose kind is not known, and statements of people's own: what fits their columns. */

import type { Answer, Row } from "../api/types";
import { type SeriesPlan, series } from "./kinds-series";
import { type Boxes, type Flow, named, num, type Reading, type Readings } from "./readings";
import { intervalOf, isTime } from "./time";
import { unitOf, words } from "./units";

/** Beyond so many names a bar chart is a table. */
const MOST_NAMES = 200;

interface Columns {
  time: string | null;
  numbers: string[];
  texts: string[];
}

export function genericReadings(answer: Answer, measure: string): Readings {
  const rows = answer.rows as Row[];
  const columns = sorted(answer, rows);
  const chosen = columns.numbers.includes(measure) ? measure : (columns.numbers[0] ?? "");
  const none: Readings = { readings: [], measures: [], measure: chosen };
  if (!rows.length || !columns.numbers.length) return none;
  const readings = [
    box(rows, columns),
    flows(rows, columns),
    figures(rows, columns),
    drawn(rows, columns, chosen),
    scatter(rows, columns),
  ];
  const measures = columns.numbers.map((name) => ({ name, label: words(name) }));
  const found = readings.filter((one): one is Reading => one !== null);
  return { readings: found, measures: found.some((one) => one.form === "series") ? measures : [], measure: chosen };
}

/** Which columns hold times, numbers and texts; a flag such as `complete` is none of them. */
function sorted(answer: Answer, rows: Row[]): Columns {
  const found: Columns = { time: null, numbers: [], texts: [] };
  for (const { name } of answer.columns) {
    const values = rows.map((row) => row[name]).filter((value) => value !== null && value !== undefined);
    if (!values.length) continue;
    if (values.every((value) => typeof value === "number")) found.numbers.push(name);
    else if (found.time === null && values.every(isTime)) found.time = name;
    else if (values.every((value) => typeof value === "string")) found.texts.push(name);
  }
  return found;
}

function drawn(rows: Row[], { time, numbers, texts }: Columns, measure: string): Reading | null {
  if (rows.length < 2 && !time) return null;
  const common = { unit: unitOf(measure), valueName: words(measure), y: measure } satisfies Partial<SeriesPlan>;
  if (time) {
    const keys = [...new Set(rows.map((row) => named(row[time])))];
    return series({ rows }, { ...common, x: time, by: texts, axis: "time", interval: intervalOf(keys) });
  }
  const first = texts[0];
  if (!first) {
    const order = numbers.find((name) => name !== measure && rows.every((row) => Number.isInteger(row[name])));
    const ascending =
      order &&
      rows.every((row, place) => place === 0 || (num(row, order) ?? 0) > (num(rows[place - 1] ?? {}, order) ?? 0));
    return ascending ? series({ rows }, { ...common, x: order, by: [], axis: "order", axisName: words(order) }) : null;
  }
  if (new Set(rows.map((row) => named(row[first]))).size > MOST_NAMES) return null;
  const adds = common.unit === "count" ? "yes" : "no";
  const countries = /country/.test(first) && rows.every((row) => /^([A-Za-z]{2})?$/.test(String(row[first] ?? "")));
  return series({ rows }, { ...common, x: first, by: texts.slice(1), axis: "category", adds, countries });
}

function figures(rows: Row[], { time, numbers, texts }: Columns): Reading | null {
  const row = rows[0];
  if (!row || rows.length > 1 || time || texts.length > 1) return null;
  const items = numbers.map((name) => ({
    name: words(name),
    value: num(row, name),
    before: null,
    unit: unitOf(name),
    complete: true,
    row,
  }));
  return { form: "figures", types: ["number", "table"], items };
}

function flows(rows: Row[], { numbers, texts }: Columns): Reading | null {
  const from = texts.find((name) => /^(from|source)(_|$)/.test(name));
  const to = texts.find((name) => /^(to|target)(_|$)/.test(name));
  const value = numbers[0];
  if (!from || !to || !value) return null;
  const found = rows.map((row): Flow => {
    const amount = num(row, value) ?? 0;
    return {
      from: { place: 0, name: named(row[from]) },
      to: { place: 1, name: named(row[to]) },
      value: amount,
      seconds: null,
      row,
    };
  });
  return {
    form: "flows",
    types: ["sankey", "table"],
    counted: words(value).toLowerCase(),
    flows: found.filter((flow) => flow.value > 0),
  };
}

const QUANTILES = [/^(p25|q1|lower_quartile)/, /^(median|p50|q2)/, /^(p75|q3|upper_quartile)/];

function box(rows: Row[], { numbers, texts }: Columns): Reading | null {
  const [quarter, median, three] = QUANTILES.map((pattern) => numbers.find((name) => pattern.test(name)));
  if (!quarter || !median || !three || rows.length > 60) return null;
  const low = numbers.find((name) => /^(min|p05|p5|p10)/.test(name));
  const high = numbers.find((name) => /^(max|p95|p90)/.test(name));
  const average = numbers.find((name) => /^(average|avg|mean)/.test(name));
  const name = texts[0];
  const found: Boxes = {
    form: "boxes",
    types: ["box", "table"],
    unit: unitOf(median),
    axisName: "",
    lowName: low ? words(low) : "",
    highName: high ? words(high) : "",
    items: rows.map((row) => ({
      name: name ? named(row[name]) : "All",
      low: low ? num(row, low) : null,
      quarter: num(row, quarter) ?? 0,
      median: num(row, median) ?? 0,
      threeQuarters: num(row, three) ?? 0,
      high: high ? num(row, high) : null,
      average: average ? num(row, average) : null,
      count: null,
      row,
    })),
  };
  return found;
}

function scatter(rows: Row[], { time, numbers, texts }: Columns): Reading | null {
  const [x, y] = numbers;
  if (!x || !y || time || rows.length < 3) return null;
  const name = texts[0];
  const items = rows.flatMap((row) => {
    const [across, up] = [num(row, x), num(row, y)];
    return across === null || up === null ? [] : [{ name: name ? named(row[name]) : "", x: across, y: up, row }];
  });
  return {
    form: "points",
    types: ["scatter"],
    x: { name: words(x), unit: unitOf(x) },
    y: { name: words(y), unit: unitOf(y) },
    items,
  };
}
