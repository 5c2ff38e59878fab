/** Conditions on events, as every question takes them: a property compared with a value, a group of conditions, or a segment. */

import type { Condition, Property } from "../../api/types";

export type Of = "event" | "person" | "group";

export interface PropertyFilter extends Record<string, unknown> {
  property: string;
  op?: string;
  value?: unknown;
  of?: Of;
  group_type?: string;
}

/** How an operator reads between a property and a value. */
export const OPERATORS: Record<string, string> = {
  "=": "is",
  "!=": "is not",
  in: "is one of",
  not_in: "is none of",
  contains: "contains",
  not_contains: "does not contain",
  starts_with: "starts with",
  ends_with: "ends with",
  matches: "matches (regular expression)",
  ">": "is more than",
  ">=": "is at least",
  "<": "is less than",
  "<=": "is at most",
  is_set: "is set",
  is_not_set: "is not set",
};

export const GROUP_WORDS = { all: "All of", any: "Any of", not: "None of" } as const;
export type GroupWord = keyof typeof GROUP_WORDS;

export const wantsList = (op: string | undefined): boolean => op === "in" || op === "not_in";
export const wantsNothing = (op: string | undefined): boolean => op === "is_set" || op === "is_not_set";

/** Which of the three forms it has; by the field that tells, as the server decides too. */
export function formOf(condition: Condition): "segment" | "group" | "filter" {
  if ("segment" in condition) return "segment";
  return groupWord(condition) ? "group" : "filter";
}

/** Which list of a group is filled; a group with several has each of them as a group of its own in the eyes of the form. */
export function groupWord(condition: Condition): GroupWord | null {
  return (["all", "any", "not"] as const).find((word) => word in condition) ?? null;
}

/** Its property, however it was written. */
export const propertyOf = (condition: Condition): string => String(condition.property ?? condition.prop ?? "");

/** Whether the server could take it: something is chosen, and the value fits the operator. */
export function isComplete(condition: unknown): boolean {
  if (!condition || typeof condition !== "object" || Array.isArray(condition)) return false;
  const one = condition as Condition;
  if (formOf(one) === "segment") return typeof one.segment === "string" ? one.segment !== "" : Boolean(one.segment);
  if (formOf(one) === "group")
    return (["all", "any", "not"] as const).every((word) =>
      ((one[word] as unknown[] | undefined) ?? []).every(isComplete),
    );
  if (propertyOf(one) === "" || (one.of === "group" && !one.group_type)) return false;
  const op = one.op as string | undefined;
  if (wantsNothing(op)) return true;
  if (wantsList(op)) return Array.isArray(one.value) && one.value.length > 0;
  return one.value !== undefined && one.value !== null && !Array.isArray(one.value);
}

/** The value that goes with another operator: a list becomes its first item, one value a list of it. */
export function withOperator(filter: PropertyFilter, op: string): PropertyFilter {
  const { value, op: _op, ...rest } = filter;
  const given = op === "=" ? {} : { op };
  if (wantsNothing(op)) return { ...rest, ...given };
  if (wantsList(op))
    return {
      ...rest,
      ...given,
      value: Array.isArray(value) ? value : value === undefined || value === null ? [] : [value],
    };
  const one = Array.isArray(value) ? value[0] : value;
  return one === undefined ? { ...rest, ...given } : { ...rest, ...given, value: one };
}

const NUMBERS = /^(Nullable\()?(U?Int\d+|Float\d+|Decimal)/;
const BUILT_IN_NUMBERS = ["@revenue"];
const BUILT_IN_TRUTHS = ["@is_bot"];

export type ValueKind = "text" | "number" | "truth";

/** What its values are, as far as the catalog knows: several types in one property are text. */
export function valueKind(property: string, of: Of, known: readonly Property[]): ValueKind {
  if (BUILT_IN_NUMBERS.includes(property)) return "number";
  if (BUILT_IN_TRUTHS.includes(property)) return "truth";
  if (property.startsWith("@") || of !== "event") return "text";
  const types = known.filter((one) => one.property === property).map((one) => one.type);
  if (types.length === 0) return "text";
  if (types.every((type) => NUMBERS.test(type))) return "number";
  return types.every((type) => /Bool/.test(type)) ? "truth" : "text";
}

/** The text that a person typed or chose, as a value of that kind. */
export function asValue(text: string, kind: ValueKind): string | number | boolean {
  if (kind === "number" && text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
  if (kind === "truth" && (text === "true" || text === "false")) return text === "true";
  return text;
}

/** A condition in words: "plan is pro", "any of: plan is pro, @country is DE". */
export function conditionWords(condition: Condition): string {
  const form = formOf(condition);
  if (form === "segment")
    return `in ${segmentName(condition.segment)}${condition.at ? ` at ${String(condition.at)}` : ""}`;
  if (form === "group") {
    const said = (["all", "any", "not"] as const)
      .filter((word) => ((condition[word] as Condition[] | undefined) ?? []).length > 0)
      .map(
        (word) =>
          `${GROUP_WORDS[word].toLowerCase()}: ${(condition[word] as Condition[]).map(conditionWords).join(", ")}`,
      );
    return said.join("; ") || "an empty group";
  }
  const whose =
    condition.of === "person"
      ? "person’s "
      : condition.of === "group"
        ? `${String(condition.group_type ?? "group")}’s `
        : "";
  const op = String(condition.op ?? "=");
  const value = wantsNothing(op) ? "" : ` ${valueWords(condition.value)}`;
  return `${whose}${propertyWords(propertyOf(condition))} ${(OPERATORS[op] ?? op).replace(" (regular expression)", "")}${value}`;
}

/** "@utm_source" as "utm source": built-in columns lose their sign. */
export function propertyWords(property: string): string {
  return property.startsWith("@") ? property.slice(1).replaceAll("_", " ") : property;
}

function segmentName(segment: unknown): string {
  if (typeof segment === "string") return segment;
  return String((segment as { name?: string } | null)?.name || "a segment of its own");
}

function valueWords(value: unknown): string {
  if (Array.isArray(value))
    return value.length > 3
      ? `${value.slice(0, 3).map(valueWords).join(", ")} and ${value.length - 3} more`
      : value.map(valueWords).join(", ");
  return value === "" ? "empty" : String(value ?? "…");
}
