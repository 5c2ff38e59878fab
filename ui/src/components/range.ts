/** Ranges of time in words, and the relative ones that people take most. What they mean is docs/reference/conventions.md. */

import type { Range } from "../api/types";

export interface Preset {
  label: string;
  range: Range;
}

/** Steps back such as -0m begin with the period that they name, so "this month" stays this month in a saved question. */
export const PRESETS: Preset[] = [
  { label: "Today", range: { date_from: "today" } },
  { label: "Yesterday", range: { date_from: "yesterday", date_to: "yesterday" } },
  { label: "Last 24 hours", range: { last: "24 hours" } },
  { label: "Last 7 days", range: { last: "7 days" } },
  { label: "Last 30 days", range: { last: "30 days" } },
  { label: "Last 90 days", range: { last: "90 days" } },
  { label: "Last 12 months", range: { last: "12 months" } },
  { label: "This month", range: { date_from: "-0m" } },
  { label: "Last month", range: { date_from: "-1m", date_to: "-1m" } },
  { label: "This year", range: { date_from: "-0y" } },
];

export const RANGE_UNITS = ["minute", "hour", "day", "week", "month", "quarter", "year"] as const;

const LAST = /^\s*(\d{1,5})\s*(minute|hour|day|week|month|quarter|year)s?\s*$/i;
const BACK = /^-(\d{1,5})(min|h|d|w|m|q|y)$/;
const UNITS: Record<string, string> = {
  min: "minute",
  h: "hour",
  d: "day",
  w: "week",
  m: "month",
  q: "quarter",
  y: "year",
};
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** "30 days" as 30 and "day"; null for what is none. */
export function lastOf(text: string | undefined): { count: number; unit: string } | null {
  const match = LAST.exec(text ?? "");
  return match ? { count: Number(match[1]), unit: String(match[2]).toLowerCase() } : null;
}

/** Both are the same to the server. */
export function sameRange(one: Range, other: Range): boolean {
  const sign = ({ last, date_from, date_to }: Range) => JSON.stringify([last ?? "", date_from ?? "", date_to ?? ""]);
  return sign(one) === sign(other);
}

/** Whether one end of a range is something that the server reads. */
export function isMoment(text: string): boolean {
  const word = text.trim();
  if (["now", "today", "yesterday"].includes(word) || BACK.test(word)) return true;
  return /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$/.test(word) && !Number.isNaN(Date.parse(word.replace(" ", "T")));
}

/** "Last 30 days", "1–15 Nov 2026", "Since 1 Nov 2026". */
export function rangeWords(range: Range | undefined, fallback = "Last 30 days"): string {
  if (!range || !(range.last || range.date_from || range.date_to)) return fallback;
  const preset = PRESETS.find((one) => sameRange(one.range, range));
  if (preset) return preset.label;
  const { last, date_from: from, date_to: to } = range;
  const length = lastOf(last);
  if (last) return length ? `Last ${counted(length.count, length.unit)}` : `Last ${last}`;
  if (from && to && DAY.test(from) && DAY.test(to)) return between(from, to);
  if (from && to) return `${said(from)} to ${said(to)}`;
  return from ? `Since ${said(from)}` : `Until ${said(to as string)}`;
}

/** "1 day", "3 days". */
export function counted(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function between(from: string, to: string): string {
  if (from === to) return said(from);
  const [one, other] = [from.split("-"), to.split("-")];
  if (one[0] !== other[0]) return `${said(from)} – ${said(to)}`;
  return one[1] === other[1] ? `${Number(one[2])}–${said(to)}` : `${dayWords(from, false)} – ${said(to)}`;
}

function said(text: string): string {
  if (DAY.test(text)) return dayWords(text, true);
  const back = BACK.exec(text);
  if (!back) return text.replace("T", " ");
  const unit = UNITS[back[2] as string] as string;
  const count = Number(back[1]);
  return count === 0 ? `this ${unit}` : `${counted(count, unit)} ago`;
}

function dayWords(day: string, year: boolean): string {
  const at = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(at.getTime())) return day;
  const form: Intl.DateTimeFormatOptions = { day: "numeric", month: "short", timeZone: "UTC" };
  return new Intl.DateTimeFormat("en-GB", year ? { ...form, year: "numeric" } : form).format(at);
}
