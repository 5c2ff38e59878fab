import { expect, test } from "vitest";
import { indented, type Letter, reasonsOf, reasonWords } from "./letters";

test("reasons, the most frequent first", () => {
  const letter = (reason: string) => ({ reason }) as Letter;
  expect(reasonsOf([letter("b"), letter("a"), letter("b")])).toEqual([
    { reason: "b", count: 2 },
    { reason: "a", count: 1 },
  ]);
  expect(reasonWords("against_plan")).toBe("Against plan");
  expect(reasonWords("")).toBe("No reason");
});

test("what a browser would change stays as it was sent", () => {
  expect(indented('{"a": "x y", "b": [1]}')).toBe('{\n  "a": "x y",\n  "b": [\n    1\n  ]\n}');
  expect(indented('{"id": 12345678901234567890}')).toBe('{"id": 12345678901234567890}');
  expect(indented("{broken")).toBe("{broken");
});
