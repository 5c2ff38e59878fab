/** How an answer is read before it is drawn: a few forms, whatever the kind of question. */

import type { Row } from "../api/types";
import type { ChartType, Measure } from "./types";
import type { Unit } from "./units";

/** One line, or one colour of bars: a value for each key. */
export interface Line {
  name: string;
  values: (number | null)[];
  /** The same in the period before; null: not compared. */
  before: (number | null)[] | null;
  complete: boolean[];
  rows: (Row | null)[];
  unit: Unit;
  /** Of what lies beyond a breakdown's limit. */
  other: boolean;
}

interface Base {
  /** What fits best, and what fits as well. */
  types: ChartType[];
}

export interface Series extends Base {
  form: "series";
  /** time: periods; order: first, second, third …; category: names. */
  axis: "time" | "order" | "category";
  keys: string[];
  /** What is told at the axis; for time its interval decides. */
  labels: string[];
  axisName: string;
  interval: string;
  lines: Line[];
  unit: Unit;
  valueName: string;
  /** Whether values of several lines add up to a whole; people: nearly, one person may be in several. */
  adds: "yes" | "people" | "no";
  /** Whether values of several periods add up. */
  addsOverTime: boolean;
  countries: boolean;
}

export interface Step {
  name: string;
  count: number;
  fromFirst: number | null;
  fromPrevious: number | null;
  median: number | null;
  average: number | null;
  row: Row;
}
export interface Steps extends Base {
  form: "steps";
  counted: string;
  groups: { name: string; steps: Step[] }[];
}

export interface Cell {
  value: number | null;
  count: number | null;
  complete: boolean;
  row: Row;
}
export interface Triangle extends Base {
  form: "triangle";
  columns: string[];
  columnName: string;
  unit: Unit;
  valueName: string;
  groups: {
    name: string;
    cohorts: { label: string; size: number; cells: (Cell | null)[] }[];
    mean: (number | null)[];
  }[];
}

export interface Flow {
  from: { place: number; name: string };
  to: { place: number; name: string };
  value: number;
  seconds: number | null;
  row: Row;
}
export interface Flows extends Base {
  form: "flows";
  counted: string;
  flows: Flow[];
}

export interface Bins extends Base {
  form: "bins";
  unit: Unit;
  axisName: string;
  counted: string;
  groups: {
    name: string;
    bins: { from: number | null; to: number | null; count: number; rate: number | null; row: Row }[];
    median: number | null;
    average: number | null;
  }[];
}

export interface Boxes extends Base {
  form: "boxes";
  unit: Unit;
  axisName: string;
  items: {
    name: string;
    low: number | null;
    quarter: number;
    median: number;
    threeQuarters: number;
    high: number | null;
    average: number | null;
    count: number | null;
    row: Row;
  }[];
  lowName: string;
  highName: string;
}

export interface Intervals extends Base {
  form: "intervals";
  unit: Unit;
  axisName: string;
  /** What no effect would be. */
  reference: number | null;
  logarithmic: boolean;
  items: {
    name: string;
    group: string;
    value: number;
    low: number | null;
    high: number | null;
    sure: boolean | null;
    about: string;
    row: Row;
  }[];
}

export interface Points extends Base {
  form: "points";
  x: { name: string; unit: Unit };
  y: { name: string; unit: Unit };
  items: { name: string; x: number; y: number; row: Row }[];
}

/** Several numbers of one row. */
export interface Figures extends Base {
  form: "figures";
  items: { name: string; value: number | null; before: number | null; unit: Unit; complete: boolean; row: Row }[];
}

export type Reading = Series | Steps | Triangle | Flows | Bins | Boxes | Intervals | Points | Figures;

/** All that can be drawn of an answer, the best first, and the columns between which a person may choose. */
export interface Readings {
  readings: Reading[];
  measures: Measure[];
  measure: string;
}

/** A number of a row; null for what is none. */
export function num(row: Row, column: string): number | null {
  const value = row[column];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** What an empty value of a breakdown is called. */
export const NOT_SET = "(not set)";
export const OTHER = "Other";

/** A text of a row as a name. */
export function named(value: unknown): string {
  if (value === null || value === undefined || value === "") return NOT_SET;
  if (Array.isArray(value)) return value.map(named).join(" → ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export interface Pivot {
  x: string;
  y: string;
  by: string[];
  unit: Unit | ((row: Row) => Unit);
  before?: string;
  /** What a share is a share of: where that is 0 there is no share, whatever the answer says. */
  wholeOf?: string;
  label?: (row: Row) => string;
  /** How a value of a column is called, where it is not called by itself. */
  say?: (column: string, value: unknown) => string;
}

/** Rows as lines over keys, in the order in which they come. Null when two rows claim the same place: a table says more then. */
export function pivot(rows: Row[], how: Pivot): { keys: string[]; labels: string[]; lines: Line[] } | null {
  const places = new Map<string, number>();
  const labels: string[] = [];
  const say = how.say ?? ((_column: string, value: unknown) => named(value));
  const keyOf = (row: Row) => (how.x ? say(how.x, row[how.x]) : "");
  for (const row of rows) {
    const key = keyOf(row);
    if (places.has(key)) continue;
    places.set(key, places.size);
    labels.push(how.label ? how.label(row) : key);
  }
  const varying = how.by.filter(
    (column) => new Set(rows.map((row) => named(row[column]))).size > 1 || how.by.length === 1,
  );
  const lines = new Map<string, Line>();
  for (const row of rows) {
    const parts = varying.filter((column) => column in row).map((column) => say(column, row[column]));
    const name = parts.join(" · ");
    let line = lines.get(name);
    if (!line) {
      line = emptyLine(name, places.size, typeof how.unit === "function" ? how.unit(row) : how.unit);
      if (how.before) line.before = new Array<number | null>(places.size).fill(null);
      line.other = parts.includes(OTHER);
      lines.set(name, line);
    }
    const place = places.get(keyOf(row)) ?? 0;
    if (line.rows[place]) return null;
    line.rows[place] = row;
    line.values[place] = how.wholeOf && num(row, how.wholeOf) === 0 ? null : num(row, how.y);
    if (line.before && how.before) line.before[place] = num(row, how.before);
    line.complete[place] = row.complete !== false;
  }
  for (const line of lines.values()) if (line.before?.every((value) => value === null)) line.before = null;
  return { keys: [...places.keys()], labels, lines: [...lines.values()] };
}

export function emptyLine(name: string, length: number, unit: Unit): Line {
  return {
    name,
    values: new Array<number | null>(length).fill(null),
    before: null,
    complete: new Array<boolean>(length).fill(true),
    rows: new Array<Row | null>(length).fill(null),
    unit,
    other: false,
  };
}
