/** Kinds about steps and ways, how things spread, and what an experiment shows. */

import type { Row } from "../api/types";
import { type Asked, grouped, has, measured, text } from "./kinds-asked";
import { barred, series } from "./kinds-series";
import { type Bins, type Flow, type Intervals, named, num, type Reading } from "./readings";
import { unitOf, words } from "./units";

export function distribution({ rows, question }: Asked): (Reading | null)[] {
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

export function funnel(asked: Asked): (Reading | null)[] {
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
      ...(measure === "rate" ? { wholeOf: "entered" } : {}),
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

export function path({ rows, question }: Asked): (Reading | null)[] {
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

export function segment(asked: Asked): (Reading | null)[] {
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

export function experiment({ rows, question }: Asked): (Reading | null)[] {
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
