import { expect, test } from "vitest";
import { choicesOf, layoutOf, optionHelp, optionsOf, usedIn } from "./layout";
import { missing } from "./missing";
import { placedIn } from "./places";
import { type Defs, formOfValue, humane, itemWord, type Schema, shapeOf } from "./schema";
import { withField } from "./values";

// As pydantic writes them.
const defs: Defs = {
  Filter: {
    title: "Filter",
    type: "object",
    properties: {
      property: { type: "string" },
      op: { enum: ["=", "in"] },
      value: {},
      of: { enum: ["event", "person"] },
    },
    required: ["property"],
  },
  FilterGroup: { title: "FilterGroup", type: "object", properties: { all: { type: "array" }, any: { type: "array" } } },
  Selector: {
    title: "Selector",
    type: "object",
    properties: {
      event: { anyOf: [{ type: "string" }, { type: "null" }] },
      filters: { type: "array", items: { oneOf: [{ $ref: "#/$defs/Filter" }, { $ref: "#/$defs/FilterGroup" }] } },
    },
  },
  Window: {
    title: "Window",
    type: "object",
    properties: { value: { type: "number" }, unit: { enum: ["day", "week"], default: "day" } },
    required: ["value"],
  },
  Did: {
    title: "Did",
    description: "People who did something so many times. `at_most: 0` are those who never did.",
    type: "object",
    properties: { did: { $ref: "#/$defs/Selector" }, at_least: { type: "integer", default: 1 } },
    required: ["did"],
  },
  Listed: {
    title: "Listed",
    description: "People given by their ids.",
    type: "object",
    properties: { ids: { type: "array", items: { type: "string" } } },
    required: ["ids"],
  },
};
const is = (schema: Schema) => shapeOf(schema, defs).is;
const text = { anyOf: [{ type: "string" }, { type: "null" }], default: null };

test("a widget goes by the shape of its schema", () => {
  expect(is({ $ref: "#/$defs/Selector" })).toBe("selector");
  expect(is({ $ref: "#/$defs/Window", default: { value: 14 } })).toBe("window");
  expect(is({ type: "array", items: { oneOf: [{ $ref: "#/$defs/Filter" }, { $ref: "#/$defs/FilterGroup" }] } })).toBe(
    "conditions",
  );
  expect(is({ type: "array", items: { oneOf: [{ $ref: "#/$defs/Did" }, { $ref: "#/$defs/Filter" }] } })).toBe("list");
  expect(is({ anyOf: [{ enum: ["day", "week"] }, { const: "total" }] })).toBe("choice");
  expect(is({ anyOf: [{ type: "integer" }, { type: "string" }] })).toBe("word");
  expect(is({ oneOf: [{ $ref: "#/$defs/Did" }, { $ref: "#/$defs/Listed" }] })).toBe("union");
  expect(is({ type: "array", items: { enum: ["a", "b"] } })).toBe("choices");
  expect(is({ type: "string", examples: ["SELECT 1"] })).toBe("code");
  expect(is({ type: "string", description: "The property that holds it." })).toBe("property");
  expect(is({ type: "string", description: "With `of: group`: the group's type." })).toBe("text");
  expect(is({ type: "object", additionalProperties: { type: "number" } })).toBe("map");
  expect(is({ type: "boolean" })).toBe("switch");
});

test("a field that may be empty keeps its own words", () => {
  const shape = shapeOf(
    { anyOf: [{ $ref: "#/$defs/Selector" }, { type: "null" }], default: null, description: "Mine." },
    defs,
  );
  expect(shape).toMatchObject({ is: "selector", nullable: true, schema: { description: "Mine.", default: null } });
});

test("a value tells which of several forms it has", () => {
  const shape = shapeOf({ oneOf: [{ $ref: "#/$defs/Did" }, { $ref: "#/$defs/Listed" }, { type: "string" }] }, defs);
  if (shape.is !== "union") throw new Error(shape.is);
  expect(shape.forms.map((form) => form.label)).toEqual([
    "People who did something so many times",
    "People given by their ids",
    "A saved one, by its name",
  ]);
  expect(formOfValue(shape.forms, { did: "signup" })).toBe(0);
  expect(formOfValue(shape.forms, { ids: [] })).toBe(1);
  expect(formOfValue(shape.forms, "buyers")).toBe(2);
});

test("names are said as words", () => {
  expect(humane("time_to_convert")).toBe("Time to convert");
  expect(humane("TrendLine")).toBe("Trend line");
  expect(itemWord({ $ref: "#/$defs/Selector" }, defs)).toBe("event");
  expect(itemWord({ title: "FunnelStep", type: "object", properties: { a: {} } }, defs)).toBe("funnel step");
});

const schema: Schema = {
  type: "object",
  required: ["steps"],
  properties: {
    kind: { const: "x" },
    last: text,
    timezone: text,
    filters: { type: "array", items: { oneOf: [{ $ref: "#/$defs/Filter" }] }, default: [] },
    steps: { type: "array", items: { $ref: "#/$defs/Selector" }, minItems: 2 },
    view: { enum: ["steps", "trend"], default: "steps", description: "steps: people at each; trend: by period." },
    interval: { enum: ["day", "week"], default: "day", description: "For the trend: length of a period." },
    bins: { type: "integer", default: 10, description: "How many." },
    window: { $ref: "#/$defs/Window" },
  },
};

test("what is required, filters and what examples use stand in sight", () => {
  const used = usedIn([
    { steps: [], window: 1 },
    { steps: [], window: 2, view: "steps" },
  ]);
  expect(used).toEqual({ steps: 2, window: 2, view: 1 });
  const { main, more } = layoutOf(schema, defs, {}, used, 2);
  expect(main.map((field) => field.name)).toEqual(["steps", "window", "filters"]);
  expect(more.map((group) => [group.title, group.fields.map((field) => field.name)])).toEqual([
    ["How it counts", ["view"]],
    ["Sizes and lengths", ["bins"]],
    ["For the trend", ["interval"]],
    ["Time and identity", ["timezone"]],
  ]);
});

test("what belongs to an option comes with the option", () => {
  const names = (view: string) => layoutOf(schema, defs, { view }).main.map((field) => field.name);
  expect(names("trend")).toContain("interval");
  expect(names("steps")).not.toContain("interval");
});

test("each option has its own help", () => {
  expect(optionHelp("steps: people at each; trend: by period.", ["steps", "trend"])).toEqual({
    steps: "people at each",
    trend: "by period",
  });
});

test("a question that lacks something is not asked", () => {
  const places = (value: unknown) => missing(schema, defs, value).map((lack) => lack.place);
  expect(places({})).toEqual(["steps"]);
  expect(places({ steps: ["a"] })).toEqual(["steps"]);
  expect(places({ steps: ["a", { event: "b" }] })).toEqual([]);
  expect(places({ steps: ["a", null] })).toEqual(["steps.1"]);
  expect(places({ steps: ["a", {}], filters: [{ property: "" }] })).toEqual(["filters.0"]);
  expect(places({ steps: ["a", { filters: [{ property: "p", op: "in", value: [] }] }] })).toEqual([
    "steps.1.filters.0",
  ]);
});

test("what a field says anyway is not written", () => {
  expect(withField({ a: 1 }, "a", undefined, undefined)).toEqual({});
  expect(withField({ a: 1 }, "b", 10, 10)).toEqual({ a: 1 });
  expect(withField({ a: 1 }, "b", 11, 10)).toEqual({ a: 1, b: 11 });
  expect(withField({ a: 1 }, "a", null, null)).toEqual({});
});

test("which options a field belongs to is read from its help", () => {
  const field = (name: string, own: Schema) => ({ name, schema: own, required: false });
  const measure = field("measure", {
    enum: ["count", "sum", "average", "max", "quantile"],
    description: "count: how many.",
  });
  const view = field("view", { enum: ["steps", "trend", "times"] });
  const of = field("of", { enum: ["event", "group"] });
  const choices = choicesOf([measure, view, of], {});
  const options = (description: string) => optionsOf(field("x", { description }), choices)?.options;
  expect(options("For sum to max: the property.")).toEqual(["sum", "average", "max"]);
  expect(options("For count, and sum if wanted: over so long.")).toEqual(["count", "sum"]);
  expect(options("For all views but steps: the step to measure from.")).toEqual(["trend", "times"]);
  expect(options("With `of: group`: the group's type.")).toEqual(["group"]);
  expect(options("Times: how far ahead.")).toEqual(["times"]);
  expect(options("Property to split by.")).toBeUndefined();
  expect(optionsOf(measure, choices)).toBeNull();
});

test("where one of two is given, both are in sight", () => {
  const either: Schema = {
    properties: { key: { type: "string" }, exposure: { type: "boolean", description: "Instead of key: the events." } },
  };
  expect(layoutOf(either, defs, {}, { exposure: 2 }, 2).main.map((one) => one.name)).toEqual(["exposure", "key"]);
});

test("a refusal that names the end of a path is shown where one path ends so", () => {
  const question = { steps: [{ event: "a", filters: [{ property: "p" }] }], breakdown: { limit: 3 } };
  expect(placedIn(question, "steps.0.event")).toBe("steps.0.event");
  expect(placedIn(question, "limit")).toBe("breakdown.limit");
  expect(placedIn({ ...question, breakdown: { property: "q" } }, "property")).toBe("property");
});
