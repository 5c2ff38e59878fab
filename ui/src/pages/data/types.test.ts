import { expect, test } from "vitest";
import { propertiesOf, typeWord } from "./types";

test("types in plain words", () => {
  expect(
    ["Int64", "Nullable(Float64)", "String", "Bool", "Array(Nullable(String))", "DateTime64(9)", "JSON", "Strange"].map(
      typeWord,
    ),
  ).toEqual(["number", "number", "text", "true or false", "list", "time", "object", "Strange"]);
});

test("one entry for each property, with all that is known of it", () => {
  const found = propertiesOf([
    { property: "price", type: "String", events: ["order"], last_seen: "2026-11-02" },
    { property: "price", type: "Int64", events: ["view", "order"], last_seen: "2026-11-03" },
    { property: "price", type: "Float64", events: ["order"], last_seen: "2026-11-01" },
    { property: "colour", type: "String", events: ["view"], last_seen: "2026-11-01" },
  ]);
  expect(found).toEqual([
    { property: "colour", types: ["text"], events: ["view"], last_seen: "2026-11-01" },
    { property: "price", types: ["number", "text"], events: ["order", "view"], last_seen: "2026-11-03" },
  ]);
});
