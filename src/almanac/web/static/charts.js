// Charts by the shape of an answer's rows, not by its kind: a kind that nobody drew yet shows as its table.

import { duration, full, h, percent, s, short, table } from "./dom.js";

/** The picture of an answer, or null when a table says it better. */
export function picture(answer) {
  const names = new Set(answer.columns.map((column) => column.name));
  if (names.has("period") && names.has("value")) return series(answer.rows);
  if (names.has("step") && stepCount(answer.rows[0] ?? {}) !== undefined) return steps(answer.rows);
  if (names.has("cohort") && names.has("rate")) return triangle(answer.rows);
  return null;
}

/** True when the picture leaves something out that the table has. */
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

const stepCount = (row) => row.count ?? row.people ?? row.persons;

function steps(rows) {
  const ignored = new Set(["step", "event", "name", "label", "count", "people", "persons"]);
  const labels = Object.keys(rows[0]).filter((name) => !ignored.has(name) && (name === "breakdown" || name === "breakdown_value" || name === "group"));
  return h("div", { class: "stack" }, groupsOf(rows, labels).map((group) => {
    const first = stepCount(group[0]);
    const label = labels.map((name) => text(group[0][name])).filter(Boolean).join(" · ");
    return h("div", {}, label ? h("h3", {}, label) : null, h("ol", { class: "steps" }, group.map((row, index) => step(row, index, first, group[index - 1]))));
  }));
}

function step(row, index, first, before) {
  const count = stepCount(row);
  const overall = first ? count / first : 0;
  const fill = h("div", { class: "fill" });
  fill.style.width = `${overall * 100}%`;
  fill.hidden = !count; // zero is no bar at all
  const lost = before ? stepCount(before) - count : 0;
  const median = row.median_seconds_from_previous;
  const words = [
    before && `${percent(stepCount(before) ? count / stepCount(before) : 0)} of the step before`,
    before && `${full(lost)} dropped off`,
    before && median !== null && median !== undefined && `median ${duration(median)}`,
  ].filter(Boolean).join(" · ");
  const name = row.name ?? row.step;
  return h("li", {},
    h("div", { class: "words" }, h("span", {}, `${index + 1}. ${text(name)}`), h("span", {}, h("strong", {}, full(count)), ` ${percent(overall)}`)),
    h("div", { class: "track", "aria-hidden": "true" }, fill),
    words ? h("div", { class: "quiet" }, words) : null);
}

// --------------------------------------------------------------- retention

function triangle(rows) {
  const kept = rows.filter((row) => row.cohort !== null && row.cohort !== undefined);
  if (!kept.length) return nothing();
  const at = (row) => row.period ?? row.index ?? row.period_index ?? row.interval;
  const size = (row) => row.cohort_size ?? row.size;
  const cohorts = [...new Set(kept.map((row) => row.cohort))];
  const most = Math.max(...kept.map(at));
  const columns = Array.from({ length: most + 1 }, (_, index) => index);
  const cell = (cohort, index) => {
    const row = kept.find((one) => one.cohort === cohort && at(one) === index);
    if (!row || row.rate === null) return h("td", {});
    const open = row.complete === false;
    const words = `${full(row.count ?? row.people)} of ${full(size(row))} people${open ? "; not over yet" : ""}`;
    return h("td", { class: `heat-${Math.min(7, Math.floor(row.rate * 8))}${open ? " open" : ""}`, title: words }, percent(row.rate));
  };
  const line = (cohort) => h("tr", {}, h("th", { scope: "row" }, when(cohort)), h("td", { class: "number" }, full(size(kept.find((row) => row.cohort === cohort)))), columns.map((index) => cell(cohort, index)));
  return h("div", { class: "scroll", tabindex: 0 },
    h("table", { class: "heat" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Began"), h("th", { scope: "col", class: "number" }, "People"), columns.map((index) => h("th", { scope: "col", class: "number" }, index)))),
      h("tbody", {}, mean(kept, columns, at, size), cohorts.map(line))));
}

/** Weighted by the size of cohorts; periods that are not over are left out, they would pull it down. */
function mean(rows, columns, at, size) {
  const cells = columns.map((index) => {
    const over = rows.filter((row) => at(row) === index && row.complete !== false && row.rate !== null);
    const people = over.reduce((sum, row) => sum + size(row), 0);
    return people ? over.reduce((sum, row) => sum + row.rate * size(row), 0) / people : null;
  });
  const shown = cells.map((rate) => (rate === null ? h("td", { class: "number" }, "–") : h("td", { class: `heat-${Math.min(7, Math.floor(rate * 8))}` }, percent(rate))));
  return h("tr", {}, h("th", { scope: "row" }, "Mean"), h("td", {}), shown);
}

const text = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));
const nothing = () => h("p", { class: "quiet" }, "No rows for this range.");
