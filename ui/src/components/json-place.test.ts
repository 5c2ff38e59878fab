import { expect, test } from "vitest";
import { faultOf, lineOfPath } from "./json-place";

const TEXT = `{
  "mode": "reject",
  "schema": {
    "properties": {
      "a.b": {"type": "x\\"}"},
      "total": {
        "type": "numbr"
      }
    },
    "required": ["total",
      "currency"]
  }
}`;

test("the line of a path, or of its deepest known part", () => {
  expect(lineOfPath(TEXT, "mode")).toBe(2);
  expect(lineOfPath(TEXT, "schema.properties.total.type")).toBe(7);
  expect(lineOfPath(TEXT, "schema.properties.total.minimum")).toBe(6);
  expect(lineOfPath(TEXT, "schema.properties.a.b.type")).toBe(5);
  expect(lineOfPath(TEXT, "schema.required.1")).toBe(11);
  expect(lineOfPath(TEXT, "owner")).toBeNull();
  expect(lineOfPath('{"a": [1, {', "a.1")).toBe(1);
});

test("what is no JSON object", () => {
  expect(faultOf(TEXT)).toBeNull();
  expect(faultOf("[1]")?.message).toContain("object");
  expect(faultOf('{"a": 1,}')?.message).toContain("no JSON");
  expect(faultOf('{\n"a": 1\n"b": 2}')?.line).toBe(3);
});
