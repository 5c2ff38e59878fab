import { expect, test } from "vitest";
import type { Property } from "../../api/types";
import { asValue, conditionWords, isComplete, valueKind, withOperator } from "./conditions";

test("a condition is said in words", () => {
  expect(conditionWords({ property: "plan", value: "pro" })).toBe("plan is pro");
  expect(conditionWords({ prop: "@utm_source", op: "in", value: ["a", "b"] })).toBe("utm source is one of a, b");
  expect(conditionWords({ property: "x", op: "in", value: [1, 2, 3, 4, 5] })).toBe("x is one of 1, 2, 3 and 2 more");
  expect(conditionWords({ property: "plan", op: "is_set", of: "person" })).toBe("person’s plan is set");
  expect(conditionWords({ segment: "buyers", at: "2026-01-31" })).toBe("in buyers at 2026-01-31");
  expect(
    conditionWords({
      any: [
        { property: "a", value: "" },
        { property: "b", op: ">", value: 0 },
      ],
    }),
  ).toBe("any of: a is empty, b is more than 0");
});

test("what the server would refuse is not complete", () => {
  expect(isComplete({ property: "plan", value: "pro" })).toBe(true);
  expect(isComplete({ property: "plan", value: false })).toBe(true);
  expect(isComplete({ property: "plan", op: "is_set" })).toBe(true);
  expect(isComplete({ property: "plan", value: "" })).toBe(true);
  expect(isComplete({ any: [{ property: "a", value: 1 }] })).toBe(true);
  for (const wrong of [
    null,
    {},
    { property: "" },
    { property: "plan" },
    { property: "plan", op: "in", value: [] },
    { segment: "" },
    { any: [{}] },
  ])
    expect(isComplete(wrong)).toBe(false);
  expect(isComplete({ property: "plan", of: "group", value: 1 })).toBe(false);
});

test("a change of operator keeps the value where it can", () => {
  expect(withOperator({ property: "a", value: "x" }, "in")).toEqual({ property: "a", op: "in", value: ["x"] });
  expect(withOperator({ property: "a", op: "in", value: ["x", "y"] }, "=")).toEqual({ property: "a", value: "x" });
  expect(withOperator({ property: "a", value: "x" }, "is_set")).toEqual({ property: "a", op: "is_set" });
  expect(withOperator({ property: "a", op: "in", value: [] }, ">")).toEqual({ property: "a", op: ">" });
});

test("values are of the kind that the catalog knows", () => {
  const known = [
    { property: "amount", type: "Float64" },
    { property: "amount", type: "Int64" },
    { property: "mixed", type: "Int64" },
    { property: "mixed", type: "String" },
    { property: "trial", type: "Bool" },
  ] as Property[];
  expect(valueKind("amount", "event", known)).toBe("number");
  expect(valueKind("mixed", "event", known)).toBe("text");
  expect(valueKind("trial", "event", known)).toBe("truth");
  expect(valueKind("amount", "person", known)).toBe("text");
  expect(valueKind("@revenue", "event", known)).toBe("number");
  expect(asValue("12.5", "number")).toBe(12.5);
  expect(asValue("twelve", "number")).toBe("twelve");
  expect(asValue("true", "truth")).toBe(true);
  expect(asValue("007", "text")).toBe("007");
});
