import { describe, expect, it } from "vitest";
import type { Kind, Question } from "../../api/types";
import {
  added,
  type Board,
  changedTile,
  did,
  doubled,
  effective,
  inReadingOrder,
  redone,
  same,
  stepped,
  undone,
  withoutTile,
} from "./model";

const KINDS = [
  { kind: "trend", question: { properties: { compare: {}, filters: {} } } },
  { kind: "path", question: { properties: { filters: {} } } },
] as unknown as Kind[];
const PRO = { property: "plan", value: "pro" };
const DE = { property: "@country", value: "DE" };
const nobody = { range: null, filters: [], compare: null };

const board = (more: Partial<Board> = {}): Board => ({
  tiles: [
    { id: "a", x: 0, y: 0, w: 6, h: 4, type: "question", question: { kind: "trend", last: "7 days", filters: [PRO] } },
  ],
  ...more,
});

describe("a tile's question", () => {
  const ask = (given: Board, view = {}, saved = new Map<string, Question>()) => {
    const tile = given.tiles[0];
    return tile ? effective(given, tile, { ...nobody, ...view }, saved, KINDS) : null;
  };

  it("is its own where nothing is chosen", () => {
    expect(ask(board())).toEqual({ kind: "trend", last: "7 days", filters: [PRO] });
  });
  it("takes the board's range and filters, and what the reader chose goes first", () => {
    const given = board({ range: { date_from: "-30d", date_to: "today" }, filters: [DE] });
    expect(ask(given)).toEqual({ kind: "trend", date_from: "-30d", date_to: "today", filters: [PRO, DE] });
    expect(ask(given, { range: { last: "1 day" } })).toEqual({ kind: "trend", last: "1 day", filters: [PRO, DE] });
  });
  it("is put beside the range before where the kind can be", () => {
    expect(ask(board(), { compare: true })).toMatchObject({ compare: "previous_period" });
    expect(ask(board({ compare: true }), { compare: false })).toMatchObject({ compare: null });
    const path = changedTile(board(), "a", { question: { kind: "path" } });
    expect(ask(path, { compare: true })).toEqual({ kind: "path" });
  });
  it("keeps the filters of a saved question beside the board's", () => {
    const given = changedTile(board({ filters: [DE] }), "a", { question: { saved: "signups" } });
    expect(ask(given)).toBeNull();
    const saved = new Map([["signups", { kind: "trend", filters: [PRO] }]]);
    expect(ask(given, {}, saved)).toEqual({ saved: "signups", filters: [PRO, DE] });
  });
});

describe("tiles", () => {
  it("come below the others, with ids of their own", () => {
    const two = doubled(added(board(), { type: "text", text: "hello" }), "a");
    expect(two.tiles.map((tile) => [tile.id, tile.y])).toEqual([
      ["a", 0],
      ["tile-2", 4],
      ["tile-3", 6],
    ]);
    expect(withoutTile(two, "a").tiles).toHaveLength(2);
  });
  it("do not leave the grid", () => {
    const tile = { id: "a", x: 6, y: 0, w: 6, h: 1, type: "text" as const };
    expect(stepped(tile, "right", 12)).toBeNull();
    expect(stepped(tile, "wider", 12)).toBeNull();
    expect(stepped(tile, "up", 12)).toBeNull();
    expect(stepped(tile, "lower", 12)).toBeNull();
    expect(stepped(tile, "left", 12)).toMatchObject({ x: 5, w: 6 });
  });
  it("are read from the top left on a phone", () => {
    const at = (id: string, x: number, y: number) => ({ id, x, y, w: 1, h: 1, type: "text" as const });
    expect(inReadingOrder([at("c", 0, 4), at("b", 6, 0), at("a", 0, 0)]).map((tile) => tile.id)).toEqual([
      "a",
      "b",
      "c",
    ]);
  });
});

describe("undo", () => {
  it("goes back and forth, and a new step forgets what was undone", () => {
    const first = { past: [], now: board(), future: [] };
    const second = did(first, board({ title: "two" }));
    expect(undone(second).now).toEqual(board());
    expect(redone(undone(second)).now).toEqual(board({ title: "two" }));
    expect(did(undone(second), board({ title: "three" })).future).toEqual([]);
    expect(did(second, board({ title: "two" }))).toBe(second);
  });
  it("knows the same board however its fields are ordered", () => {
    expect(same({ title: "a", tiles: [] }, { tiles: [], title: "a", range: undefined })).toBe(true);
  });
});
