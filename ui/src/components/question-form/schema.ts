/** What a form shows for a JSON schema, as pydantic writes them. It goes by the shape of a schema alone: no kind of question is known here. */

export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  examples?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: boolean | Schema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

export type Defs = Record<string, Schema>;

/** One way to write a value where there are several. */
export interface Form {
  label: string;
  schema: Schema;
}

interface Common {
  schema: Schema;
  /** Whether null is a value too: the field can be left empty. */
  nullable: boolean;
}

export type Shape = Common &
  (
    | { is: "choice"; options: string[] }
    | { is: "choices"; options: string[] }
    | { is: "number"; whole: boolean }
    | { is: "switch" }
    | { is: "text" }
    | { is: "word" } // a text or a whole number
    | { is: "code" } // a statement in SQL
    | { is: "texts"; numbers: boolean }
    | { is: "property" } // the name of a property
    | { is: "properties" }
    | { is: "window" }
    | { is: "conditions" }
    | { is: "condition"; owners: string[] } // one comparison of a property
    | { is: "selector"; fields: Defs }
    | { is: "breakdown"; fields: Defs }
    | { is: "segment"; fields: Defs } // people in a segment, at a moment
    | { is: "list"; item: Schema }
    | { is: "map"; item: Schema }
    | { is: "object"; fields: Defs }
    | { is: "union"; forms: Form[] }
    | { is: "anything" }
  );

/** The schema with its references followed; what stands beside a reference (description, default) holds. */
export function followed(schema: Schema, defs: Defs): Schema {
  let found = schema;
  for (let steps = 0; found.$ref && steps < 20; steps += 1) {
    const { $ref, ...beside } = found;
    found = { ...(defs[$ref.slice($ref.lastIndexOf("/") + 1)] ?? {}), ...beside };
  }
  return found;
}

/** The same without the null that may stand in its place. */
function withoutNull(schema: Schema, defs: Defs): { schema: Schema; nullable: boolean } {
  const forms = schema.anyOf ?? schema.oneOf;
  if (!forms?.some((form) => form.type === "null")) return { schema, nullable: false };
  const { anyOf: _any, oneOf: _one, ...beside } = schema;
  const left = forms.filter((form) => form.type !== "null");
  if (left.length !== 1) return { schema: { ...beside, anyOf: left }, nullable: true };
  const only = followed(left[0] as Schema, defs);
  // The field's own words go before those of what it holds.
  const { default: _default, ...held } = only;
  return { schema: { ...held, ...beside }, nullable: true };
}

export function shapeOf(given: Schema, defs: Defs): Shape {
  const { schema, nullable } = withoutNull(followed(given, defs), defs);
  const common = { schema, nullable };
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms) return { ...common, ...unionOf(forms, defs) };
  const options = optionsOf(schema);
  if (options) return { ...common, is: "choice", options };
  switch (schema.type) {
    case "boolean":
      return { ...common, is: "switch" };
    case "integer":
    case "number":
      return { ...common, is: "number", whole: schema.type === "integer" };
    case "string":
      return { ...common, is: textOf(schema) };
    case "array":
      return { ...common, ...listOf(schema, defs) };
    case "object":
      return { ...common, ...objectOf(schema) };
    default:
      return { ...common, is: "anything" };
  }
}

type Bare = { [Is in Shape["is"]]: Omit<Extract<Shape, { is: Is }>, "schema" | "nullable"> }[Shape["is"]];

function optionsOf(schema: Schema): string[] | null {
  if (schema.enum) return schema.enum.map(String);
  return schema.const === undefined ? null : [String(schema.const)];
}

function unionOf(forms: Schema[], defs: Defs): Bare {
  const bare = forms.map((form) => followed(form, defs));
  const options = bare.map(optionsOf);
  if (options.every((list) => list !== null)) return { is: "choice", options: options.flatMap((list) => list ?? []) };
  if (bare.every((form) => form.type === "string" || form.type === "integer" || form.type === "number"))
    return { is: "word" };
  return { is: "union", forms: bare.map((schema) => ({ label: formLabel(schema), schema })) };
}

/** The first words of what is said of it. */
function formLabel(schema: Schema): string {
  if (schema.type === "string") return "A saved one, by its name";
  const said = /^[^.,:;(]+/.exec(schema.description ?? "")?.[0].trim();
  return said || humane(schema.title ?? schema.type ?? "value");
}

function textOf(schema: Schema): "code" | "property" | "text" {
  if (schema.examples?.some((one) => typeof one === "string" && /^\s*(select|with)\b/i.test(one))) return "code";
  // The words of the house say what is the name of a property, and when it is the kind of thing whose property it is.
  return /\bpropert(y|ies)\b/i.test(schema.description ?? "") &&
    !/group['’]s type|regular expression/i.test(schema.description ?? "")
    ? "property"
    : "text";
}

function listOf(schema: Schema, defs: Defs): Bare {
  const item = followed(schema.items ?? {}, defs);
  const options = optionsOf(item);
  if (options) return { is: "choices", options };
  const forms = (item.anyOf ?? item.oneOf ?? []).map((form) => followed(form, defs));
  // Parts of a segment compare properties too, but they are of people, and some count what these did.
  if (forms.some(isCondition) && !forms.some((form) => "did" in (form.properties ?? {}))) return { is: "conditions" };
  if (item.type === "string") return { is: textOf(schema) === "property" ? "properties" : "texts", numbers: false };
  if (item.type === "number" || item.type === "integer") return { is: "texts", numbers: true };
  return { is: "list", item };
}

function objectOf(schema: Schema): Bare {
  const fields = schema.properties ?? {};
  const has = (...names: string[]) => names.every((name) => name in fields);
  if (has("event", "filters")) return { is: "selector", fields };
  if (isCondition(schema)) return { is: "condition", owners: optionsOf(fields.of ?? {}) ?? ["event"] };
  if (has("value", "unit") && Object.keys(fields).length === 2) return { is: "window" };
  if (has("property", "segments", "limit")) return { is: "breakdown", fields };
  if (has("segment", "at")) return { is: "segment", fields };
  if (Object.keys(fields).length === 0 && schema.additionalProperties) {
    return { is: "map", item: schema.additionalProperties === true ? {} : schema.additionalProperties };
  }
  return { is: "object", fields };
}

const isCondition = (schema: Schema): boolean =>
  ["property", "op", "value"].every((name) => name in (schema.properties ?? {}));

/** Which form a value has: the first whose required fields it has all, and which knows all of its fields. */
export function formOfValue(forms: Form[], value: unknown): number {
  const found = forms.findIndex(({ schema }) => fits(schema, value));
  return found === -1 ? 0 : found;
}

function fits(schema: Schema, value: unknown): boolean {
  if (value === null || typeof value !== "object")
    return schema.type === (typeof value === "string" ? "string" : typeof value);
  if (Array.isArray(value)) return schema.type === "array";
  const fields = schema.properties ?? {};
  const known = Object.keys(value).every((name) => name in fields);
  return schema.type === "object" && known && (schema.required ?? []).every((name) => name in value);
}

/** People in a segment, however it was written: its name, the segment itself, or either with a moment. */
export function segmentOf(value: unknown): Record<string, unknown> | null {
  if (typeof value === "string") return { segment: value };
  if (!value || typeof value !== "object" || Array.isArray(value)) return null;
  return "segment" in value || Object.keys(value).length === 0
    ? (value as Record<string, unknown>)
    : { segment: value };
}

/** "time_to_convert" → "Time to convert"; "TrendLine" → "Trend line". */
export function humane(name: string): string {
  const words = name
    .replaceAll("_", " ")
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .trim()
    .toLowerCase();
  const said = words.charAt(0).toUpperCase() + words.slice(1);
  return said.replace(/\b(sql|url|id|ids|utm|cuped)\b/gi, (short) => short.toUpperCase().replace("IDS", "IDs"));
}

/** What one item of a list is called on its button. */
export function itemWord(item: Schema, defs: Defs): string {
  const shape = shapeOf(item, defs);
  const title = humane(shape.schema.title ?? "");
  if (shape.is === "segment") return "segment";
  if (shape.is === "breakdown") return "breakdown";
  if (shape.is === "union") return "condition";
  if (title === "Selector" || title === "") return shape.is === "selector" ? "event" : "item";
  return title.toLowerCase();
}
