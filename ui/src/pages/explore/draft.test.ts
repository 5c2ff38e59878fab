import { expect, test } from "vitest";
import type { Kind } from "../../api/types";
import { fromExample, inUseOrder, ofKind, parsed, same, whenToAsk } from "./draft";
import { lackWords } from "./not-asked";
import { withTile } from "./tile";

test("an address that holds no question is none", () => {
  expect(parsed('{"kind":"x"}')).toEqual({ kind: "x" });
  for (const text of [null, "", "[1]", "{", "7"]) expect(parsed(text)).toBeNull();
});

test("another kind keeps the days and the filters", () => {
  const kind = { kind: "y", question: { properties: { last: {}, filters: {} } } } as unknown as Kind;
  expect(ofKind(kind, { kind: "x", last: "7 days", filters: [], steps: [1], timezone: "UTC" })).toEqual({
    kind: "y",
    last: "7 days",
    filters: [],
  });
});

test("an example is tried on days of today", () => {
  expect(fromExample({ kind: "x", date_from: "2026-01-01", date_to: "2026-01-02", steps: [] })).toEqual({
    kind: "x",
    steps: [],
  });
});

test("when to ask is the first sentence after the title", () => {
  expect(
    whenToAsk("Title.\n\nAsk it for the way to a goal: from the first visit to the\norder, and so on. More.\n\nHow."),
  ).toBe("Ask it for the way to a goal: from the first visit to the order, and so on.");
  expect(whenToAsk("Title.")).toBe("");
});

test("what is missing is said without counting from nought", () => {
  const at = (place: string) => ({ place, sentence: "" });
  expect(lackWords([at("steps.1"), at("filters.0.value")])).toBe("steps 2, filters 1 value");
  expect(lackWords([at("a"), at("b"), at("c"), at("d")])).toBe("a, b, c and 1 more");
});

test("a tile goes where there is room", () => {
  const one = withTile({}, { title: "a" });
  expect(one.tiles).toEqual([{ id: "tile1", type: "question", x: 0, y: 0, w: 6, h: 4, title: "a" }]);
  const two = withTile(one, { title: "b" });
  expect(two.tiles?.[1]).toMatchObject({ id: "tile2", x: 6, y: 0 });
  expect(withTile(two, { title: "c" }).tiles?.[2]).toMatchObject({ x: 0, y: 4 });
  const left = { tiles: [{ id: "tile2", type: "text", x: 0, y: 0, w: 12, h: 2 }] };
  expect(withTile(left, {}).tiles?.[1]).toMatchObject({ id: "tile3", x: 0, y: 2 });
});

test("kinds that were asked lately come first", () => {
  const kinds = [
    { kind: "a", examples: [1] },
    { kind: "b", examples: [1, 2] },
    { kind: "c", examples: [] },
  ] as unknown as Kind[];
  expect(inUseOrder(kinds, []).map((kind) => kind.kind)).toEqual(["b", "a", "c"]);
  expect(inUseOrder(kinds, ["c"]).map((kind) => kind.kind)).toEqual(["c", "b", "a"]);
});

test("a question is the same however it is written", () => {
  expect(
    same({ kind: "x", window: "8 days", steps: ["a"] }, { steps: [{ event: "a" }], window: { value: 8 }, kind: "x" }),
  ).toBe(true);
  expect(same({ within: { value: 2, unit: "week" } }, { within: "2 weeks" })).toBe(true);
  expect(same({ window: "8 days" }, { window: "9 days" })).toBe(false);
  expect(same({ filters: [{ property: "a", value: 1 }] }, { filters: [{ property: "a", value: "1" }] })).toBe(false);
});
