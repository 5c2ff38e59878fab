/** Which fields of a form stand in sight, and where the rest is found: by what is required, what the worked examples use, and what is set. */

import { type Defs, type Schema, shapeOf } from "./schema";

export interface Field {
  name: string;
  schema: Schema;
  required: boolean;
}

export interface Layout {
  main: Field[];
  more: { title: string; fields: Field[] }[];
}

/** They have places of their own on the page: the range picker, and the kind that was chosen. */
const ELSEWHERE = new Set(["kind", "date_from", "date_to", "last"]);
/** Of any question: they come after its own. */
const OF_ALL = new Set(["timezone", "week_start", "as_of"]);

/** `used`: the fields of the worked examples' questions, each as often as it occurs. */
export function layoutOf(
  schema: Schema,
  defs: Defs,
  value: Record<string, unknown>,
  used: Record<string, number> = {},
  examples = 0,
): Layout {
  const required = new Set(schema.required ?? []);
  const all = Object.entries(schema.properties ?? {})
    .filter(([name]) => !ELSEWHERE.has(name))
    .map(([name, own]) => ({ name, schema: own, required: required.has(name) }));
  const choices = choicesOf(all, defs);
  const often = Math.max(2, examples / 4);
  const main: Field[] = [];
  const rest = new Map<string, Field[]>();
  for (const field of all) {
    const option = optionsOf(field, choices);
    const chosen =
      option?.options.some((name) => isChosen(value[option.field] ?? defaultOf(all, option.field), name)) ?? false;
    const common =
      field.required ||
      isOfFirstSight(field, defs) ||
      (option === null && (used[field.name] ?? 0) >= often && !OF_ALL.has(field.name));
    if (chosen || (option === null && common)) main.push(field);
    else {
      const title = OF_ALL.has(field.name) ? "Time and identity" : (option?.title ?? senseOf(field, defs));
      rest.set(title, [...(rest.get(title) ?? []), field]);
    }
  }
  alternatives(main, rest);
  const order = [...rest.keys()].sort((one, other) => rank(one) - rank(other));
  return { main: inOrder(main), more: order.map((title) => ({ title, fields: rest.get(title) ?? [] })) };
}

/** What a question is about comes first, then what is kept out of it. */
function inOrder(fields: Field[]): Field[] {
  const place = (field: Field) => (field.required ? 0 : field.name === "filters" ? 2 : 1);
  return [...fields].sort((one, other) => place(one) - place(other));
}

/** What every reader asks next: which of the events, and by what. */
function isOfFirstSight(field: Field, defs: Defs): boolean {
  const shape = shapeOf(field.schema, defs);
  return (
    field.name === "filters" ||
    shape.is === "breakdown" ||
    (shape.is === "list" && shapeOf(shape.item, defs).is === "breakdown")
  );
}

function rank(title: string): number {
  if (title === "Time and identity") return 4;
  if (/^(For|With|Only for) /i.test(title)) return 3;
  return ["Events and people", "How it counts", "Sizes and lengths"].indexOf(title);
}

function senseOf(field: Field, defs: Defs): string {
  const { is } = shapeOf(field.schema, defs);
  if (["number", "window", "texts"].includes(is)) return "Sizes and lengths";
  return ["choice", "choices", "switch", "text", "word"].includes(is) ? "How it counts" : "Events and people";
}

interface Only {
  title: string;
  field: string;
  options: string[];
}

/** Choices by their names, with their options. */
export function choicesOf(fields: Field[], defs: Defs): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const field of fields) {
    const shape = shapeOf(field.schema, defs);
    if (shape.is === "choice" || shape.is === "choices") found.set(field.name, shape.options);
  }
  return found;
}

/**
 * A field whose help begins with "For X:", "For X and Y:", "For X to Y:", "For all views but X:" or "X:" belongs to options of a choice
 * beside it. A choice whose help begins with an option of its own only explains it.
 */
export function optionsOf(field: Field, choices: Map<string, string[]>): Only | null {
  const help = field.schema.description ?? "";
  const head = /^((?:for|with|only for)\b[^:.;]*(?::\s*[\w-]+`)?|`?[\w-]+`?):/i.exec(help)?.[1];
  if (head === undefined) return null;
  const words: string[] = head.toLowerCase().match(/[\w-]+/g) ?? [];
  for (const [name, options] of choices) {
    if (name === field.name) continue;
    const said = options.filter((option) => words.includes(option.toLowerCase()));
    if (said.length === 0) continue;
    if (choices.get(field.name)?.some((option) => said.includes(option))) continue;
    const named = words.includes("but")
      ? options.filter((option) => !said.includes(option))
      : spanned(words, options, said);
    return { title: titleOf(head), field: name, options: named };
  }
  return null;
}

/** "sum to quantile" are all between the two. */
function spanned(words: string[], options: string[], said: string[]): string[] {
  const at = words.indexOf("to");
  const [from, to] = [options.indexOf(words[at - 1] ?? ""), options.indexOf(words[at + 1] ?? "")];
  return at > 0 && from >= 0 && to > from ? options.slice(from, to + 1) : said;
}

function titleOf(head: string): string {
  const words = head.replaceAll("`", "").replaceAll("_", " ").trim();
  return /^(for|with|only for)\b/i.test(words) ? words : `For ${words.toLowerCase()}`;
}

/** Where one of two is given, both can be seen: "Instead of X: …". */
function alternatives(main: Field[], rest: Map<string, Field[]>): void {
  const named = main.map((field) => /\binstead of (\w+)/i.exec(field.schema.description ?? "")?.[1]);
  for (const [title, fields] of rest) {
    const seen = fields.filter((field) => named.includes(field.name));
    main.push(...seen);
    const left = fields.filter((field) => !seen.includes(field));
    if (left.length) rest.set(title, left);
    else rest.delete(title);
  }
}

const isChosen = (value: unknown, option: string): boolean =>
  Array.isArray(value) ? value.includes(option) : String(value) === option;

function defaultOf(fields: Field[], name: string): unknown {
  return fields.find((field) => field.name === name)?.schema.default;
}

/** How often the questions of worked examples use each field. */
export function usedIn(questions: readonly Record<string, unknown>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const question of questions) for (const name of Object.keys(question)) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** The field whose help explains each of its options: "a: this; b: that" as a's and b's own words. */
export function optionHelp(description: string, options: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const part of description.split(";")) {
    const cut = part.indexOf(":");
    const name = part.slice(0, cut).trim().replaceAll("`", "");
    if (cut > 0 && options.includes(name))
      found[name] = part
        .slice(cut + 1)
        .trim()
        .replace(/\.$/, "");
  }
  return found;
}
