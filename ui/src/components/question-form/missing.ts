/** What a question still lacks before the server is asked: fields without a value, lists that are too short, filters half written. */

import { isComplete } from "../filters/conditions";
import { type Defs, formOfValue, humane, type Schema, segmentOf, shapeOf } from "./schema";

export interface Lack {
  place: string;
  sentence: string;
}

export function missing(schema: Schema, defs: Defs, value: unknown, place = ""): Lack[] {
  const shape = shapeOf(schema, defs);
  if (value === undefined || value === null)
    return shape.nullable || value === undefined ? [] : [{ place, sentence: "Choose something here." }];
  const at = (name: string | number) => (place ? `${place}.${name}` : String(name));
  switch (shape.is) {
    case "conditions":
      return list(value).flatMap((item, number) =>
        isComplete(item) ? [] : [{ place: at(number), sentence: "This filter is not complete." }],
      );
    case "condition":
      return isComplete(value) ? [] : [{ place, sentence: "This filter is not complete." }];
    case "list":
      return [
        ...short(shape.schema, value, place),
        ...list(value).flatMap((item, number) => missing(shape.item, defs, item, at(number))),
      ];
    case "choices":
    case "texts":
    case "properties":
      return short(shape.schema, value, place);
    case "map":
      return Object.entries(value).flatMap(([name, item]) => missing(shape.item, defs, item, at(name)));
    case "union": {
      const form = shape.forms[formOfValue(shape.forms, value)];
      return form ? missing(form.schema, defs, value, place) : [];
    }
    case "breakdown":
      if (typeof value === "object" && !Array.isArray(value) && !hasOne(value, "property", "prop", "segments"))
        return [{ place: at("property"), sentence: "Choose a property." }];
      return fields(shape.schema, defs, value, at);
    case "segment":
      return fields(shape.schema, defs, segmentOf(value), at);
    case "selector":
    case "object":
      return fields(shape.schema, defs, value, at);
    case "text":
    case "property":
    case "code":
      return value === "" && (shape.schema.minLength ?? 0) > 0 ? [{ place, sentence: "Write something here." }] : [];
    default:
      return [];
  }
}

function fields(schema: Schema, defs: Defs, value: unknown, at: (name: string) => string): Lack[] {
  if (typeof value !== "object" || value === null) return []; // a text in short
  const given = value as Record<string, unknown>;
  const required = (schema.required ?? []).filter(
    (name) => given[name] === undefined || given[name] === null || given[name] === "",
  );
  const lacks = required.map((name) => ({ place: at(name), sentence: `${humane(name)} is missing.` }));
  const known = Object.entries(schema.properties ?? {}).filter(
    ([name]) => given[name] !== undefined && !required.includes(name),
  );
  return [...lacks, ...known.flatMap(([name, own]) => missing(own, defs, given[name], at(name)))];
}

function short(schema: Schema, value: unknown, place: string): Lack[] {
  const least = schema.minItems ?? 0;
  return list(value).length < least
    ? [{ place, sentence: least === 1 ? "Add at least one." : `Add at least ${least}.` }]
    : [];
}

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);
const hasOne = (value: object, ...names: string[]): boolean =>
  names.some((name) => {
    const item = (value as Record<string, unknown>)[name];
    return Array.isArray(item) ? item.length > 0 : Boolean(item);
  });
