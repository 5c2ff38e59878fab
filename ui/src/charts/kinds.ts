/** The kinds of question whose answers have a shape of their own. Whatever is not named here is drawn by its columns (generic.ts). */

import { has, type KindOfChart, present } from "./kinds-asked";
import { lifetime, RETAINED, retention } from "./kinds-of-cohorts";
import { distribution, experiment, funnel, path, segment } from "./kinds-of-steps";
import { adoption, attribution, lifecycle, SESSIONS, session, stickiness, trend } from "./kinds-over-time";
import type { Measure } from "./types";
import { words } from "./units";

const ADOPTED = ["used_rate", "adoption_rate", "new_rate", "used", "new", "active", "adopted", "reached"];

const CREDIT = ["conversions", "value", "share", "cost", "cpa", "roas", "roi"];

export const KINDS: Record<string, KindOfChart> = {
  trend: { read: trend },
  lifecycle: { read: lifecycle },
  stickiness: { read: stickiness, measures: () => ["count", "rate"] },
  session: { read: session, measures: present(SESSIONS) },
  adoption: { read: adoption, measures: (asked) => (has(asked, "period") ? present(ADOPTED)(asked) : []) },
  attribution: {
    read: attribution,
    measures: (asked) =>
      (asked.question.measure === "value" ? ["value", ...CREDIT.filter((one) => one !== "value")] : CREDIT).filter(
        (one) => has(asked, one),
      ),
  },
  distribution: { read: distribution },
  funnel: { read: funnel, measures: (asked) => (has(asked, "entered") ? ["rate", "completed", "entered"] : []) },
  retention: {
    read: retention,
    measures: (asked) => present(has(asked, "value") ? ["value_per_person", ...RETAINED] : RETAINED)(asked),
  },
  lifetime_value: {
    read: lifetime,
    measures: (asked) =>
      has(asked, "expected_revenue") ? [] : present(["lifetime_value", "cumulative", "revenue"])(asked),
  },
  path: { read: path },
  segment: { read: segment, measures: (asked) => (has(asked, "segments") ? ["people", "in_all"] : []) },
  experiment: { read: experiment },
  quality: { read: () => [], nobody: true },
  sql: { read: () => [], nobody: true },
};

export function measuresOf(columns: string[]): Measure[] {
  return [...new Set(columns)].map((name) => ({ name, label: words(name) }));
}
