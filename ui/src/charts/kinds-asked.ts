/** What the readers of kinds share: what was asked, and pieces that several of them read. */

import type { Question, Row } from "../api/types";
import { type Boxes, named, num, type Reading } from "./readings";
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

export const has = (asked: Asked, column: string) => asked.rows.some((row) => column in row);

export const text = (value: unknown, fallback: string) => (typeof value === "string" && value ? value : fallback);

export const present = (columns: string[]) => (asked: Asked) => columns.filter((column) => has(asked, column));

/** What a line of a question measures: its unit, and whether its values add up. */
export function measured(line: unknown): { unit: Unit; adds: "yes" | "people" | "no"; overTime: boolean } {
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

export function figures({ rows }: Asked, columns: string[]): Reading {
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

export function grouped(rows: Row[], column: string): [string, Row[]][] {
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
