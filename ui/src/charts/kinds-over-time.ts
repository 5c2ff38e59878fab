/** Kinds whose answers are lines over time, or bars by name. */

import { type Asked, boxes, breakdownProperty, figures, has, measured, points, text } from "./kinds-asked";
import { barred, series } from "./kinds-series";
import { named, type Reading } from "./readings";
import { unitOf, words } from "./units";

export function trend(asked: Asked): (Reading | null)[] {
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

export function lifecycle(asked: Asked): (Reading | null)[] {
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

export function stickiness(asked: Asked): (Reading | null)[] {
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

export const SESSIONS = [
  ...SESSION,
  "events_per_session",
  "pages_per_session",
  "bounce_rate",
  "views",
  "entries",
  "exits",
];

export function session(asked: Asked): (Reading | null)[] {
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

export function adoption(asked: Asked): (Reading | null)[] {
  const { question, rows } = asked;
  const by = has(asked, "breakdown") ? ["breakdown"] : [];
  if (has(asked, "median_seconds")) return [boxes(rows, "breakdown", "Time to the first use")];
  if (has(asked, "period")) {
    return [
      series(asked, {
        x: "period",
        y: asked.measure,
        ...(asked.measure.endsWith("rate")
          ? { wholeOf: asked.measure === "adoption_rate" ? "reached" : "active" }
          : {}),
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
    wholeOf: curve ? "followed" : "possible",
    by,
    axis: "order",
    unit: "share",
    axisName: curve ? `${words(`${period}s`)} since first seen` : `Later ${period}s with use`,
    valueName: curve ? "Share of newcomers" : "Share of new users",
  });
  return [curve ? found : barred(found)];
}

export function attribution(asked: Asked): (Reading | null)[] {
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
