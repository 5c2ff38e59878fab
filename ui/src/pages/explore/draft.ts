/** The question under way: what stands in the form, what was asked, and where both survive. */

import type { Kind, Question } from "../../api/types";
import { schemaOf } from "../../components/question-form/question-form";
import { windowOf, windowText } from "../../components/question-form/windows";

/** What a closed tab leaves behind. `base`: the question of the address when it was written. */
export interface Kept {
  question: Question;
  saved: string;
  base: string;
}

const place = (project: string): string => `almanac.draft.${project}`;

export function keep(project: string, kept: Kept): void {
  try {
    window.localStorage.setItem(place(project), JSON.stringify(kept));
  } catch {
    // A full or forbidden storage loses the draft, not the question, which is in the address.
  }
}

export function keptOf(project: string): Kept | null {
  try {
    const found = JSON.parse(window.localStorage.getItem(place(project)) ?? "null") as Kept | null;
    return found && typeof found.question?.kind === "string" ? found : null;
  } catch {
    return null;
  }
}

/** The question of an address; null for none, or for what is none. */
export function parsed(text: string | null): Question | null {
  try {
    const found: unknown = JSON.parse(text ?? "null");
    return found && typeof found === "object" && !Array.isArray(found) ? (found as Question) : null;
  } catch {
    return null;
  }
}

/** Whether both ask the same: in whatever order, lengths of time and events in short or written out. */
export const same = (one: unknown, other: unknown): boolean =>
  JSON.stringify(plain(one)) === JSON.stringify(plain(other));

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  const names = fields.map(([name]) => name).sort();
  const given = value as Record<string, unknown>;
  if (names.join() === "value" || names.join() === "unit,value") {
    const length = windowOf(value);
    if (length && typeof given.value === "number") return windowText(length.value, length.unit);
  }
  if (names.join() === "event") return given.event;
  return Object.fromEntries(names.map((name) => [name, plain(given[name])]));
}

/** These mean the same in every kind of question, and go along when another kind is chosen. */
const SHARED = ["date_from", "date_to", "last", "timezone", "week_start", "filters", "as_of"];

/** A question of another kind, about the same events of the same days. */
export function ofKind(kind: Kind, before: Question | null): Question {
  const known = schemaOf(kind).schema.properties ?? {};
  const carried = SHARED.filter((name) => name in known && before?.[name] !== undefined).map((name) => [
    name,
    before?.[name],
  ]);
  return { kind: kind.kind, ...Object.fromEntries(carried) };
}

/** A worked example asked of the project's own events: its days are long over. */
export function fromExample(question: Record<string, unknown>): Question {
  const { date_from: _from, date_to: _to, last: _last, ...rest } = question;
  return rest as Question;
}

const LATELY = "almanac.kinds";

/** Kinds of question that were asked in this browser, the latest first. */
export function askedLately(): string[] {
  try {
    const found: unknown = JSON.parse(window.localStorage.getItem(LATELY) ?? "[]");
    return Array.isArray(found) ? found.map(String) : [];
  } catch {
    return [];
  }
}

export function rememberKind(kind: string): void {
  try {
    window.localStorage.setItem(
      LATELY,
      JSON.stringify([kind, ...askedLately().filter((one) => one !== kind)].slice(0, 30)),
    );
  } catch {
    // Without storage the list stays in its usual order.
  }
}

/** Those asked lately first; then those with most worked examples, which say most. */
export function inUseOrder(kinds: readonly Kind[], lately: readonly string[]): Kind[] {
  const place = (kind: Kind) => (lately.includes(kind.kind) ? lately.indexOf(kind.kind) : lately.length);
  return [...kinds].sort((one, other) => place(one) - place(other) || other.examples.length - one.examples.length);
}

/** Why and when to ask a kind of question: what its documentation says after its title. */
export function whenToAsk(doc: string): string {
  const second = doc.split(/\n\s*\n/)[1] ?? "";
  const text = second.replace(/\s+/g, " ").replaceAll("`", "").trim();
  const first = /^.{40,}?[.:;](?=\s|$)/.exec(text)?.[0] ?? text;
  return first.replace(/[:;]$/, ".");
}
