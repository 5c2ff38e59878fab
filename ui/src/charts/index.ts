/** Charts of answers: which fit, what they are called, and how they are drawn. Plain functions of answer and question; no browser needed. */

import type { Answer, Question, Row } from "../api/types";
import { box } from "./box";
import type { Context, Drawing } from "./drawing";
import { funnel } from "./funnel";
import { genericReadings } from "./generic";
import { histogram } from "./histogram";
import { interval } from "./interval";
import { KINDS, measuresOf } from "./kinds";
import { type Asked, breakdownProperty } from "./kinds-asked";
import { lying } from "./lying";
import { map } from "./map";
import { numbersOf } from "./number";
import { paletteOf } from "./palette";
import { pie } from "./pie";
import { OTHER, type Reading, type Readings } from "./readings";
import { retention } from "./retention";
import { sankey } from "./sankey";
import { scatter } from "./scatter";
import { summaryOf } from "./summary";
import { isTime, rangeOf } from "./time";
import type { ChartChoice, ChartOptions, ChartPlan, ChartType, Mark, Measure } from "./types";
import { upright } from "./upright";
import { titleOf } from "./words";

export { countryName } from "./countries";
export { sparkPaths } from "./number";
export { paletteOf } from "./palette";
export type {
  Annotation,
  ChartChoice,
  ChartOptions,
  ChartPlan,
  ChartType,
  Mark,
  Measure,
  NumberTile,
  ThemeName,
} from "./types";
export { said, saidInFull, type Unit, unitOf, words } from "./units";

/** The question as it was meant: the receipt's, in which saved things are written out. */
function meant(answer: Answer, question: Question): Question {
  const told = answer.receipt.question as Question | undefined;
  return { ...(told ?? question), kind: answer.kind || told?.kind || question.kind || "" };
}

function read(answer: Answer, question: Question, measure = ""): Readings {
  const kind = KINDS[answer.kind];
  if (!kind || answer.kind === "sql") return genericReadings(answer, measure);
  const asked: Asked = { question: meant(answer, question), rows: answer.rows as Row[], measure };
  const measures = kind.measures?.(asked) ?? [];
  asked.measure = measures.includes(measure) ? measure : (measures[0] ?? "");
  if (!asked.rows.length) return { readings: [], measures: [], measure: "" };
  const readings = kind.read(asked).filter((one): one is Reading => one !== null);
  const chosen = readings.some((one) => one.form !== "figures" && one.form !== "boxes") ? measuresOf(measures) : [];
  return { readings, measures: chosen, measure: asked.measure };
}

/** Which charts fit the answer, the best first. A table always does. */
export function chartsOf(answer: Answer, question: Question): ChartType[] {
  const found = read(answer, question).readings.flatMap((reading) => reading.types);
  return [...new Set<ChartType>([...found.filter((type) => type !== "table"), "table"])];
}

/** The columns between which a chart of this answer may choose; none where there is but one. */
export function measuresFor(answer: Answer, question: Question): Measure[] {
  const { measures } = read(answer, question);
  return measures.length > 1 ? measures : [];
}

/** What is shown, in words: "People who went from signup to order within 7 days, by channel". */
export function describe(answer: Answer | null, question: Question): string {
  return titleOf(answer ? meant(answer, question) : question);
}

/** Whether the answer's rows are made of people, who can be asked for. */
export function hasPeople(answer: Answer): boolean {
  return KINDS[answer.kind] !== undefined && !KINDS[answer.kind]?.nobody;
}

/** The condition that keeps to the value of a row's breakdown; null where there is none to keep to. */
export function conditionOf(answer: Answer, question: Question, row: Row | null): Record<string, unknown> | null {
  const property = breakdownProperty(meant(answer, question));
  const value = row?.breakdown;
  if (!property || typeof value !== "string" || value === OTHER) return null;
  const given = meant(answer, question).breakdown;
  const first = (Array.isArray(given) ? given[0] : given) as Record<string, unknown> | string;
  const of =
    typeof first === "object" && first.of && first.of !== "event"
      ? { of: first.of, ...(first.group_type ? { group_type: first.group_type } : {}) }
      : {};
  return value === "" ? { property, op: "is_not_set", ...of } : { property, op: "=", value, ...of };
}

/** The range of dates behind a row, where it is of a period; null where not. */
export function rangeBehind(
  answer: Answer,
  question: Question,
  row: Row | null,
): { date_from: string; date_to: string } | null {
  const asked = meant(answer, question);
  const interval = asked.interval ?? asked.period ?? "day";
  return rangeOf(row, typeof interval === "string" ? interval : "day");
}

/** When a row's period begins; null where the row has none. */
export function momentOf(row: Row | null): string | null {
  const period = row?.period;
  return isTime(period) ? period : null;
}

/** How the answer is drawn. A type that does not fit gives what fits best. */
export function plan(answer: Answer, question: Question, options: ChartOptions): ChartPlan {
  const { readings } = read(answer, question, options.measure);
  const wanted = options.type ?? readings[0]?.types[0] ?? "table";
  const reading = readings.find((one) => one.types.includes(wanted)) ?? readings[0];
  const type: ChartType =
    wanted === "table" || !reading || reading.types.includes(wanted) ? wanted : (reading.types[0] ?? "table");
  const title = describe(answer, question);
  const context: Context = {
    options,
    palette: paletteOf(options.theme),
    width: Math.max(options.width, 160),
    of: options.unit ?? "",
  };
  const empty: ChartPlan = {
    type,
    title,
    summary: "",
    notes: [],
    option: null,
    numbers: [],
    marks: [],
    height: 0,
    series: [],
    needsWorld: false,
  };
  if (type === "table" || !reading) return { ...empty, summary: `A table of ${answer.rows.length} rows.` };
  if (type === "number" && (reading.form === "series" || reading.form === "figures")) {
    const numbers = numbersOf(reading, context);
    return { ...empty, numbers, height: 96, summary: numbers.map((one) => `${one.label}: ${one.full}`).join("; ") };
  }
  const drawing = drawn(reading, type, context);
  if (!drawing) return { ...empty, type: "table" };
  return {
    ...empty,
    ...drawing,
    needsWorld: drawing.needsWorld ?? false,
    summary: summaryOf(reading, drawing.marks),
  };
}

function drawn(reading: Reading, type: ChartType, context: Context): Drawing | null {
  switch (reading.form) {
    case "series":
      if (type === "pie") return pie(reading, context);
      if (type === "map") return map(reading, context);
      if (reading.axis === "category") return lying(reading, context, type === "stacked" ? "stacked" : "bar");
      return upright(reading, context, type === "area" || type === "bar" || type === "stacked" ? type : "line");
    case "steps":
      return funnel(reading, context);
    case "triangle":
      return retention(reading, context);
    case "flows":
      return sankey(reading, context);
    case "bins":
      return histogram(reading, context);
    case "boxes":
      return box(reading, context);
    case "intervals":
      return interval(reading, context);
    case "points":
      return scatter(reading, context);
    default:
      return null;
  }
}

/** The type that a choice comes to for this answer. */
export function chosenType(answer: Answer, question: Question, choice: ChartChoice): ChartType {
  const fitting = chartsOf(answer, question);
  return choice.type && fitting.includes(choice.type) ? choice.type : (fitting[0] ?? "table");
}

/** Marks beside one another, for the keyboard: along a line with left and right, to other lines with up and down. */
export function neighbour(marks: Mark[], from: number, key: "left" | "right" | "up" | "down"): number {
  const here = marks[from];
  if (!here) return marks.length ? 0 : -1;
  const step = key === "left" || key === "up" ? -1 : 1;
  if (key === "left" || key === "right") {
    for (let place = from + step; place >= 0 && place < marks.length; place += step)
      if (marks[place]?.name === here.name) return place;
    return from;
  }
  const across = marks.map((mark, place) => ({ mark, place })).filter(({ mark }) => mark.place === here.place);
  if (across.length > 1) {
    const at = across.findIndex(({ place }) => place === from);
    return across[at + step]?.place ?? from;
  }
  return Math.min(Math.max(from + step, 0), marks.length - 1);
}
