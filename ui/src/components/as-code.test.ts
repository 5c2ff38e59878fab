import { expect, test } from "vitest";
import { asCode } from "./as-code";

const QUESTION = {
  kind: "trend",
  series: [{ event: "it's", measure: "unique", hidden: true }],
  last: "30 days",
  breakdown: [],
  compare: null,
};

test("as JSON it is itself", () => {
  expect(JSON.parse(asCode(QUESTION, "json", "shop", "http://h"))).toEqual(QUESTION);
});

test("as Python it has Python's words", () => {
  const code = asCode(QUESTION, "python", "shop", "http://h");
  expect(code).toContain('almanac.open("http://h", project="shop"');
  expect(code).toContain('{"event": "it\'s", "measure": "unique", "hidden": True}');
  expect(code).toContain('"compare": None');
});

test("for a shell a quote ends nothing", () => {
  const code = asCode(QUESTION, "curl", "a shop", "http://h");
  expect(code).toContain("'http://h/api/v1/projects/a%20shop/ask'");
  expect(code).toContain("it'\\''s");
});

test("as YAML lists and names are indented, and words that mean something else are quoted", () => {
  expect(
    asCode(
      { kind: "funnel", steps: ["a", { event: "b", filters: [{ property: "x", op: "=", value: "no" }] }], of: "5" },
      "yaml",
      "",
      "",
    ),
  ).toBe(
    [
      "kind: funnel",
      "steps:",
      "  - a",
      "  - event: b",
      "    filters:",
      "      - property: x",
      '        op: "="',
      '        value: "no"',
      'of: "5"',
      "",
    ].join("\n"),
  );
});
