/** What stands in the cells of an answer's table. */

import type { Answer, Row } from "../api/types";
import { saidInFull, unitOf, words } from "../charts";
import { widthOf } from "../charts/drawing";
import { MISSING, moment, whole } from "../format";

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;
/** Columns in which nothing is a value of its own: events without the property. */
const NAMES = /^(breakdown|touch|value)/;
const SAMPLE = 200;

/** A value as the table has it: in full. */
export function cellText(value: unknown, column: string, zone: string, of = ""): string {
  if (value === null || value === undefined) return MISSING;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") {
    const unit = unitOf(column);
    if (unit === "share") return `${whole(Math.round(value * 10_000) / 100)} %`;
    return saidInFull(value, unit, /^(value|previous)$/.test(column) ? of : "");
  }
  if (typeof value === "string")
    return INSTANT.test(value) ? moment(value, zone) : value === "" && NAMES.test(column) ? "(not set)" : value;
  if (Array.isArray(value)) return value.map(String).join(" → ");
  return JSON.stringify(value);
}

/** Whether a column holds numbers and nothing else. */
export function isNumeric(rows: Row[], column: string): boolean {
  const there = rows.slice(0, SAMPLE).map((row) => row[column]);
  return (
    there.some((value) => typeof value === "number") &&
    there.every((value) => value === null || value === undefined || typeof value === "number")
  );
}

/** Pixels for each column, by what stands in the first rows. */
export function columnWidths(answer: Answer, zone: string): number[] {
  const rows = (answer.rows as Row[]).slice(0, SAMPLE);
  return answer.columns.map(({ name }) => {
    const texts = rows.map((row) => widthOf(cellText(row[name], name, zone)) * 1.22);
    return Math.round(Math.min(Math.max(widthOf(words(name)) * 1.22 + 46, ...texts.map((wide) => wide + 30), 72), 360));
  });
}

/** For a spreadsheet: tabs between cells, plain numbers. A text that a spreadsheet would run gets a ' before it. */
export function tabSeparated(answer: Answer, rows: Row[]): string {
  const names = answer.columns.map((column) => column.name);
  const lines = rows.map((row) => names.map((name) => plain(row[name])).join("\t"));
  return [names.join("\t"), ...lines].join("\n");
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = (typeof value === "string" ? value : JSON.stringify(value)).replace(/[\t\r\n]+/g, " ");
  return /^[=+\-@]/.test(text) ? `'${text}` : text;
}
