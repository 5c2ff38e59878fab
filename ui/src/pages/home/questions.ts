/** What Home asks, as data: each function gives one question of the API. */

import type { Answer, Condition, Question, Range, Row } from "../../api/types";
import { within } from "../../state/url";
import { byEvent, ofWhole } from "./reach";

/** What the page looks at: a range, and conditions on events. */
export interface View {
  range: Range;
  filters: Condition[];
}

export type Interval = "minute" | "hour" | "day" | "week" | "month";

/** Events that are pages of a site or screens of an app. */
export const PAGES: Condition = { property: "@kind", op: "in", value: ["page", "screen"] };

const PEOPLE = { measure: "unique", name: "People" };
const VIEWS = { measure: "count", name: "Page views", filters: [PAGES] };
const EVENTS = { measure: "count", name: "Events" };

/** Whether the project has pages at all, whatever is looked at now. */
export const anyPages: Question = { kind: "trend", series: [VIEWS], interval: "total", last: "90 days" };

/** Different people of the last five minutes. */
export function peopleNow(filters: Condition[]): Question {
  return within({ kind: "trend", series: [PEOPLE], interval: "total" }, { last: "5 minutes" }, filters);
}

/** People, page views and events of the range, beside the range before. */
export function totals(view: View): Question {
  const question = { kind: "trend", series: [PEOPLE, VIEWS, EVENTS], interval: "total", compare: "previous_period" };
  return within(question, view.range, view.filters);
}

const VISITS = ["sessions", "average_seconds", "bounce_rate", "events_per_session", "pages_per_session"];

/** A question about sessions: those with an event that passes the filters, measured over all their events. */
function ofSessions(question: Question, { range, filters }: View): Question {
  const wanted = byEvent(filters);
  return within(wanted.length ? { ...question, event: { filters: wanted } } : question, range, ofWhole(filters));
}

/** A question about everything that people did who, within the answer's range, did something that passes the filters. */
function ofPeople(question: Question, { range, filters }: View, totals: Answer | undefined): Question | null {
  const wanted = byEvent(filters);
  if (wanted.length === 0) return within(question, range, filters);
  const window = windowOf(totals);
  if (!window) return null;
  const long = `${Math.ceil((window.to - window.from) / 60_000)} minutes`;
  const people: Condition = { segment: { name: "these people", all: [{ did: { filters: wanted }, within: long }] } };
  return within(question, range, [...ofWhole(filters), people]);
}

/** The range that an answer is of, in ms since 1970; null where it has none. */
function windowOf(answer: Answer | undefined): { from: number; to: number } | null {
  const window = (answer?.receipt as { window?: { from: string; to: string } | null } | undefined)?.window;
  if (!window) return null;
  // To the minute, so that an answer a few seconds younger asks for the same range and finds it kept.
  const [from, to] = [Date.parse(window.from), Math.floor(Date.parse(window.to) / 60_000) * 60_000];
  return to > from ? { from, to } : null;
}

/** Sessions of the range: how many, how long, how many bounced. */
export function visits(view: View): Question {
  return ofSessions({ kind: "session", measures: VISITS }, view);
}

/** The same of the range before, as long as the answer's and up to where that begins. Null where the answer has no range. */
export function visitsBefore(answer: Answer | undefined, view: View): Question | null {
  const window = windowOf(answer);
  if (!window) return null;
  const { from, to } = window;
  const range = { date_from: new Date(from - (to - from)).toISOString(), date_to: new Date(from).toISOString() };
  return visits({ range, filters: view.filters });
}

export type Figure = "people" | "sessions" | "views" | "events" | "bounce" | "length" | "depth" | "pages";

/** One figure over time. */
export function overTime(figure: Figure, view: View, interval: Interval, compare: boolean): Question {
  const measures: Partial<Record<Figure, string>> = {
    sessions: "sessions",
    bounce: "bounce_rate",
    length: "average_seconds",
    depth: "events_per_session",
    pages: "pages_per_session",
  };
  const measure = measures[figure];
  if (measure) return ofSessions({ kind: "session", measures: [measure], interval }, view);
  const line = figure === "people" ? PEOPLE : figure === "views" ? VIEWS : EVENTS;
  const beside = compare ? { compare: "previous_period" } : {};
  return within({ kind: "trend", series: [line], interval, ...beside }, view.range, view.filters);
}

/** People by a property of their events. */
export function peopleBy(property: string, view: View, limit: number): Question {
  const question = { kind: "trend", series: [PEOPLE], interval: "total", breakdown: { property, limit } };
  return within(question, view.range, view.filters);
}

/** Sessions by a property of the event that they began with. */
export function sessionsBy(property: string, view: View, limit: number): Question {
  return within(
    { kind: "session", measures: ["sessions", "people"], breakdown: { property, limit } },
    view.range,
    view.filters,
  );
}

/** Pages by views, or by the sessions that began or ended there. */
export function pages(which: "pages" | "entry_pages" | "exit_pages", view: View, limit: number): Question {
  const measures = which === "pages" ? {} : { measures: ["sessions", "people"] };
  return ofSessions({ kind: "session", view: which, limit, ...measures }, view);
}

/** Events by name: how many people, and how many times. `totals`: the answer to that question, for its range; null until it is there. */
export function events(view: View, totals: Answer | undefined, limit: number): Question | null {
  const question = {
    kind: "trend",
    series: [EVENTS, PEOPLE],
    interval: "total",
    breakdown: { property: "@event", limit },
  };
  return ofPeople(question, view, totals);
}

/** Saved metrics; beside the range before, where no filter is of what people did in this one. Null without any. At most 26 stand in one
 * question. */
export function goals(metrics: string[], view: View, totals: Answer | undefined): Question | null {
  if (metrics.length === 0) return null;
  const series = metrics.slice(0, 26).map((metric) => ({ metric }));
  const compare = byEvent(view.filters).length === 0 ? { compare: "previous_period" } : {};
  return ofPeople({ kind: "trend", series, interval: "total", ...compare }, view, totals);
}

/** The filter that a saved metric stands for: people who did one of its events. Null for formulas, which have no events of their own. */
export function didOf(name: string, body: Row): Condition | null {
  if (body.formula) return null;
  return { segment: { name: `did ${name}`, all: [{ did: { metric: name } }] } };
}
