/** What an answer shows, in words, made from its question. */

import type { Question } from "../api/types";
import { named } from "./readings";
import { words } from "./units";

type Plain = Record<string, unknown>;

const MEASURES: Record<string, string> = {
  sum: "Total",
  average: "Mean",
  min: "Least",
  max: "Greatest",
  median: "Median",
};

/** The title of a question: what it shows and by what, without its range. */
export function titleOf(question: Question): string {
  const said = WORDS[question.kind ?? ""]?.(question) ?? words(question.kind ?? "Answer");
  return said.length > 160 ? `${said.slice(0, 159)}…` : said;
}

const WORDS: Record<string, (question: Question) => string> = {
  trend: (question) => {
    const total = question.interval === "total";
    const lines = list(question.series).filter((line) => (line as Plain).hidden !== true);
    return `${all(lines.map(measure), 3)}${total ? "" : `, by ${said(question.interval, "day")}`}${split(question, !total)}${beside(question)}`;
  },
  funnel: (question) => {
    const steps = list(question.steps).map((step) => shortened(event(step)));
    const from = steps[Number(question.from_step ?? 1) - 1] ?? "the first step";
    const to = steps[Number(question.to_step ?? steps.length) - 1] ?? "the last step";
    const within = `within ${length(question.window, "14 days")}`;
    const who = words(said(question.count, "people"));
    const that = who === "People" ? "who" : "that";
    if (question.view === "trend")
      return `Conversion from ${from} to ${to} ${within}, by ${said(question.interval, "day")}${split(question, true)}`;
    if (question.view === "time_to_convert") return `Time from ${from} to ${to}${split(question)}`;
    if (question.view === "correlation") return `What goes with getting from ${from} to ${to}`;
    if (question.order === "any")
      return `${who} ${that} did ${all(steps, 5)} ${within}, in any order${split(question)}`;
    return `${who} ${that} went from ${steps.join(" to ")} ${within}${split(question)}`;
  },
  retention: (question) => {
    const start = event(question.start_event);
    const back = question.return_event ? event(question.return_event) : start;
    const what = question.value ? `${words(String(question.value)).toLowerCase()} of ${back}` : back;
    return `${question.value ? `Value that stays: ${what}` : `People with ${start} who came back${back === start ? "" : ` for ${back}`}`}, by ${said(question.period, "day")}${split(question, true)}`;
  },
  path: (question) => {
    const nodes =
      { page: "pages", screen: "screens", property: "values", event: "events" }[said(question.node, "event")] ??
      "events";
    const from = question.start ? ` from ${named(question.start)}` : "";
    const to = question.end ? ` to ${named(question.end)}` : "";
    return `Ways through ${nodes}${from}${to}`;
  },
  lifecycle: (question) => {
    const events = list(question.events).map(event);
    const active = events.length ? ` with ${all(events, 3)}` : "";
    return `New, returning, resurrecting and dormant people${active}, by ${said(question.interval, "day")}${split(question, true)}`;
  },
  stickiness: (question) => {
    const unit = `${said(question.interval, "day")}s`;
    return `On how many ${unit} people did ${all(list(question.series).map(event), 3)}${split(question)}${beside(question)}`;
  },
  session: (question) => {
    const views: Record<string, string> = {
      entry_pages: "Pages that sessions begin with",
      exit_pages: "Pages that sessions end with",
      pages: "Pages",
    };
    const measures = list(question.measures).map((one) => words(String(one)).toLowerCase());
    const what =
      views[said(question.view, "sessions")] ??
      (measures.length && measures.length < 4 ? capital(all(measures, 3)) : "Sessions");
    const period = said(question.interval, "total");
    return `${what}${period === "total" ? "" : `, by ${period}`}${split(question, period !== "total")}`;
  },
  adoption: (question) => {
    const feature = event(question.feature);
    if (question.view === "time_to_use") return `Time until people first use ${feature}${split(question)}`;
    if (question.view === "curve")
      return `Newcomers who find ${feature} within so many ${said(question.period, "week")}s${split(question)}`;
    if (question.view === "repeat")
      return `People who use ${feature} again in later ${said(question.period, "week")}s${split(question)}`;
    return `People who use ${feature}, by ${said(question.period, "week")}${split(question, true)}`;
  },
  attribution: (question) => {
    const of = question.measure === "value" ? `the value of ${event(question.conversion)}` : event(question.conversion);
    const label = words(said(question.label, "@channel")).toLowerCase();
    if (label !== "channel" && !String(question.label).startsWith("@") && question.view !== "paths")
      return `Which values of ${label} earned ${of}, by model`;
    return question.view === "paths"
      ? `Ways to ${event(question.conversion)}, by ${label}`
      : `Which ${label} earned ${of}, by model`;
  },
  distribution: (question) => `How ${lower(measure(question.of))} spread over people${split(question)}`,
  experiment: (question) => {
    const metrics = list(question.metrics).map((one) =>
      named((one as Plain).name || (one as Plain).event || (one as Plain).type),
    );
    const name = question.experiment ? `${named(question.experiment)}: ` : "";
    return `${name}${all(metrics, 3)} of variants against ${said(question.control, "control")}${split(question)}`;
  },
  lifetime_value: (question) => {
    const value = question.view === "predicted" ? "Expected revenue of people" : "Revenue of a person since the start";
    return `${value}${question.cohorts === false ? "" : `, by ${said(question.period, "month")} of the start`}${split(question, true)}`;
  },
  segment: (question) => {
    const names = list(question.segments).map((one) =>
      typeof one === "string" ? one : named((one as Plain).segment ?? (one as Plain).name),
    );
    if (question.report === "overlap") return `People in ${all(names, 6)}, and in several`;
    if (question.report === "migration") return `People who went between ${all(names, 6)}`;
    return `People in ${all(names, 4)}, by ${said(question.interval, "day")}`;
  },
  quality: (question) => {
    const metric = question.metric as Plain | string | undefined;
    return `Checks of ${typeof metric === "string" ? metric : named(metric?.metric ?? metric?.name ?? metric?.event ?? "a metric")}`;
  },
  sql: () => "A statement in SQL",
};

/** What is measured: "Events", "People with signup", "Total amount of order". */
function measure(line: unknown): string {
  if (typeof line === "string") return line;
  const of = (line ?? {}) as Plain;
  if (of.name) return named(of.name);
  if (of.metric) return named(of.metric);
  if (of.formula) return named(of.formula);
  const rolling = of.over ? ` over ${length(of.over, "")}` : "";
  const what = of.event ? event(of) : "";
  const property = of.property ? words(String(of.property)).toLowerCase() : "";
  const how = said(of.measure, "count");
  if (how === "unique") return `People${what ? ` with ${what}` : ""}${rolling}`;
  if (how === "count") return `${what || "Events"}${rolling}`;
  const word =
    how === "quantile" ? `${Number(of.quantile ?? 0.95) * 100}th percentile of` : (MEASURES[how] ?? words(how));
  return `${word} ${property || "events"}${what ? ` of ${what}` : ""}${of.per === "person" ? " of a person" : ""}${rolling}`;
}

/** An event as a selector names it. */
function event(selector: unknown): string {
  if (typeof selector === "string") return selector;
  const of = (selector ?? {}) as Plain;
  if (of.name) return named(of.name);
  if (of.any) return all(list(of.any).map(event), 3);
  return of.event ? named(of.event) : "any event";
}

function split(question: Question, further = false): string {
  const by = list(question.breakdown).map((one) => {
    if (typeof one === "string") return words(one).toLowerCase();
    const { property, segments } = one as Plain;
    return property ? words(String(property)).toLowerCase() : Array.isArray(segments) ? "segment" : "";
  });
  const given = by.filter(Boolean);
  return given.length ? `${further ? " and " : ", by "}${all(given, 3)}` : "";
}

function beside(question: Question): string {
  return question.compare ? `, beside the ${named(question.compare).replaceAll("_", " ")}` : "";
}

/** "7 days", of a text or of {value, unit}. */
export function length(window: unknown, fallback: string): string {
  if (typeof window === "string") return window;
  const of = window as { value?: number; unit?: string } | null | undefined;
  if (!of?.value) return fallback;
  return `${of.value} ${of.unit ?? "day"}${of.value === 1 ? "" : "s"}`;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : value === null || value === undefined ? [] : [value];
}

function said(value: unknown, fallback: string): string {
  return typeof value === "string" && value ? value : fallback;
}

/** "a, b and c"; beyond `most` "and 2 more". */
function all(names: string[], most: number): string {
  if (names.length > most) return `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

const shortened = (name: string) => (name.length > 40 ? `${name.slice(0, 39).trimEnd()}…` : name);
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
const lower = (text: string) =>
  /^(Total|Mean|Least|Greatest|Median|People|Events)\b/.test(text)
    ? text.charAt(0).toLowerCase() + text.slice(1)
    : text;
