// Charts by the shape of an answer's rows, not by its kind: a kind that nobody drew yet shows as its table.

import { duration, full, h, percent, s, scroller, short, table } from "./dom.js";

/** The picture of an answer, or null when a table says it better. */
export function picture(answer) {
  const names = new Set(answer.columns.map((column) => column.name));
  if (names.has("period") && names.has("value")) return series(answer.rows);
  if (names.has("step") && names.has("count")) return steps(answer.rows);
  if (names.has("cohort") && names.has("rate")) return triangle(answer.rows);
  return null;
}

/** Whether half the page's width is too narrow for it. */
export function isWide(answer) {
  const names = answer.columns.map((column) => column.name);
  if (names.includes("period") && names.includes("value")) return new Set(answer.rows.map((row) => row.period)).size > 60;
  if (names.includes("cohort") && names.includes("rate")) return Math.max(...answer.rows.map((row) => row.period)) > 8;
  return !picture(answer) && names.length > 4;
}

/** All rows as they are. */
export const tableOf = (answer) => table(answer.columns, answer.rows);

const GROUPS_AT_MOST = 7;

function groupsOf(rows, measured) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify(measured.map((name) => row[name] ?? null));
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return [...groups.values()].slice(0, GROUPS_AT_MOST);
}

// ---------------------------------------------------------------- over time

function series(rows) {
  if (!rows.length) return nothing();
  const labels = Object.keys(rows[0]).filter((name) => !["period", "value", "previous", "previous_period", "complete"].includes(name));
  const groups = groupsOf(rows, labels);
  if (rows.length === 1) return h("p", { class: "figure", title: full(rows[0].value) }, short(rows[0].value));
  if (groups.every((group) => group.length === 1)) return null; // one number each: a table says it better
  return h("div", { class: "stack" }, groups.map((group) => {
    const label = labels.map((name) => text(group[0][name])).filter(Boolean).join(" · ");
    const points = group.map((row) => ({ label: when(row.period), value: row.value, open: row.complete === false }));
    return h("div", {}, groups.length > 1 ? h("h3", {}, label || "no value") : null, bars(points, { small: groups.length > 1, what: label }));
  }));
}

/** Bars from zero. `points`: [{label, value, open}]; an open one may still grow, and is drawn dashed. */
export function bars(points, { small = false, what = "" } = {}) {
  const values = points.map((point) => point.value ?? 0);
  const top = nice(Math.max(...values, 0));
  const width = 10;
  const shapes = points.map((point, index) => {
    const height = ((point.value ?? 0) / top) * 100;
    const words = point.value === null ? "no value" : full(point.value);
    return s("g", {},
      s("title", {}, `${point.label}: ${words}${point.open ? " (not over yet)" : ""}`),
      s("rect", { class: "hit", x: index * width, y: 0, width, height: 100 }),
      s("rect", { class: point.open ? "bar open" : "bar", x: index * width + 1, y: 100 - height, width: width - 2, height }));
  });
  const sum = `${what ? `${what}, ` : ""}${points.length} bars from ${points[0]?.label} to ${points.at(-1)?.label}; highest ${full(Math.max(...values, 0))}`;
  const ends = points.length > 2 ? [points[0].label, points[Math.floor((points.length - 1) / 2)].label, points.at(-1).label] : points.map((point) => point.label);
  return h("div", { class: small ? "bars small" : "bars" },
    h("div", { class: "scale", "aria-hidden": "true" }, h("span", {}, short(top)), h("span", {}, "0")),
    s("svg", { viewBox: `0 0 ${Math.max(points.length, 1) * width} 100`, preserveAspectRatio: "none", role: "img", "aria-label": sum }, shapes),
    h("div", { class: "dates", "aria-hidden": "true" }, ends.map((label) => h("span", {}, label))));
}

function nice(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

/** A period's start as the project's clock shows it: the offset is cut, not converted. */
export function when(period) {
  const written = String(period);
  const [, year, month, day, clock] = written.match(/^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}))?/) ?? [];
  if (!year) return written;
  const names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const date = `${Number(day)} ${names[Number(month) - 1]}`;
  return clock && clock !== "00:00" ? `${date} ${clock}` : date;
}

// ------------------------------------------------------------------ funnel

function steps(rows) {
  if (!rows.length) return nothing();
  return h("div", { class: "stack" }, groupsOf(rows, ["breakdown"]).map((group) =>
    h("div", {},
      group[0].breakdown ? h("h3", {}, group[0].breakdown) : null,
      h("ol", { class: "steps" }, group.map((row, index) => step(row, index, group[index - 1]))))));
}

function step(row, index, before) {
  const fill = h("div", { class: "fill" });
  fill.style.width = `${row.rate_from_first * 100}%`;
  fill.hidden = !row.count; // zero is no bar at all
  const words = before && [
    `${percent(row.rate_from_previous)} of the step before`,
    `${full(before.count - row.count)} dropped off`,
    row.median_seconds_from_previous !== null && `median ${duration(row.median_seconds_from_previous)}`,
  ].filter(Boolean).join(" · ");
  return h("li", {},
    h("div", { class: "words" },
      h("span", {}, `${index + 1}. `, h("bdi", {}, row.name)),
      h("span", {}, h("strong", {}, full(row.count)), ` ${percent(row.rate_from_first)}`)),
    h("div", { class: "track", "aria-hidden": "true" }, fill),
    words ? h("div", { class: "quiet" }, words) : null);
}

// --------------------------------------------------------------- retention

function triangle(rows) {
  if (!rows.length) return nothing();
  return h("div", { class: "stack" }, groupsOf(rows, ["breakdown"]).map((group) =>
    h("div", {}, group[0].breakdown ? h("h3", {}, group[0].breakdown) : null, heat(group))));
}

function heat(rows) {
  const cohorts = new Map();
  for (const row of rows) cohorts.set(row.cohort, [...(cohorts.get(row.cohort) ?? []), row]);
  const columns = Array.from({ length: Math.max(...rows.map((row) => row.period)) + 1 }, (_, index) => index);
  const cell = (row) => {
    if (!row) return h("td", {});
    if (!row.size) return h("td", { class: "number" }, "–");
    const words = `${full(row.count)} of ${full(row.size)} people${row.complete ? "" : "; not over yet"}`;
    return h("td", { class: `${shade(row.rate)}${row.complete ? "" : " open"}`, title: words }, percent(row.rate));
  };
  const line = ([cohort, own]) => h("tr", {},
    h("th", { scope: "row" }, when(cohort)),
    h("td", { class: "number" }, full(own[0].size)),
    columns.map((index) => cell(own.find((row) => row.period === index))));
  const head = [h("th", { scope: "col" }, "Began"), h("th", { scope: "col", class: "number" }, "People")];
  return scroller("", "Cohorts",
    h("table", { class: "heat" },
      h("thead", {}, h("tr", {}, head, columns.map((index) => h("th", { scope: "col", class: "number" }, index)))),
      h("tbody", {}, mean(rows, columns), [...cohorts].map(line))));
}

const shade = (rate) => `heat-${Math.min(7, Math.floor(rate * 8))}`;

/** Weighted by the size of cohorts; periods that are not over are left out, they would pull it down. */
function mean(rows, columns) {
  const shown = columns.map((index) => {
    const over = rows.filter((row) => row.period === index && row.complete);
    const people = over.reduce((sum, row) => sum + row.size, 0);
    if (!people) return h("td", { class: "number" }, "–");
    const rate = over.reduce((sum, row) => sum + row.count, 0) / people;
    return h("td", { class: shade(rate) }, percent(rate));
  });
  return h("tr", {}, h("th", { scope: "row" }, "Mean"), h("td", {}), shown);
}

const text = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));
const nothing = () => h("p", { class: "quiet" }, "No rows for this range.");
