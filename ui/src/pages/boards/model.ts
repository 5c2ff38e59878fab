/** A board and its tiles, and what becomes of them while somebody works on it. Plain functions; the server has the last word. */

import type { Condition, Kind, Question, Range } from "../../api/types";
import type { ChartChoice } from "../../charts";

export type TileType = "question" | "number" | "text" | "image" | "filter" | "feed";

export interface Tile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  type: TileType;
  title?: string;
  question?: Question | null;
  chart?: ChartChoice;
  text?: string;
  image?: string;
  property?: string;
  of?: "event" | "person" | "group";
  group_type?: string;
  event?: string;
}

export interface Board {
  title?: string;
  description?: string;
  columns?: number;
  range?: Range | null;
  filters?: Condition[];
  compare?: boolean | null;
  refresh?: number;
  tiles: Tile[];
}

export const COLUMNS = 12;
/** Pixels of a row of the grid, and between tiles. */
export const ROW = 64;
export const GAP = 16;

/** Columns and rows that a new tile of a type gets. */
export const SIZES: Record<TileType, { w: number; h: number }> = {
  question: { w: 6, h: 6 },
  number: { w: 3, h: 3 },
  text: { w: 6, h: 2 },
  image: { w: 4, h: 4 },
  filter: { w: 3, h: 2 },
  feed: { w: 6, h: 6 },
};

export const columnsOf = (board: Board): number => board.columns ?? COLUMNS;

/** A definition's body as a board; what is missing is empty. */
export function boardOf(body: Record<string, unknown> | undefined): Board {
  const tiles = Array.isArray(body?.tiles) ? (body.tiles as Tile[]) : [];
  return { ...(body as Partial<Board> | undefined), tiles };
}

export function newId(tiles: Tile[]): string {
  const taken = new Set(tiles.map((tile) => tile.id));
  let number = tiles.length + 1;
  while (taken.has(`tile-${number}`)) number += 1;
  return `tile-${number}`;
}

/** With one more tile, below the others. */
export function added(board: Board, tile: Omit<Tile, "id" | "x" | "y" | "w" | "h"> & Partial<Tile>): Board {
  const bottom = Math.max(0, ...board.tiles.map((one) => one.y + one.h));
  const size = SIZES[tile.type];
  const w = Math.min(tile.w ?? size.w, columnsOf(board));
  const placed: Tile = { ...tile, id: tile.id ?? newId(board.tiles), x: 0, y: bottom, w, h: tile.h ?? size.h };
  return { ...board, tiles: [...board.tiles, placed] };
}

export function changedTile(board: Board, id: string, change: Partial<Tile>): Board {
  return { ...board, tiles: board.tiles.map((tile) => (tile.id === id ? { ...tile, ...change } : tile)) };
}

export function withoutTile(board: Board, id: string): Board {
  return { ...board, tiles: board.tiles.filter((tile) => tile.id !== id) };
}

export function doubled(board: Board, id: string): Board {
  const tile = board.tiles.find((one) => one.id === id);
  return tile ? added(board, { ...tile, id: newId(board.tiles) }) : board;
}

export type Step = "left" | "right" | "up" | "down" | "wider" | "narrower" | "taller" | "lower";

/** One step by the keyboard's menu: what dragging does by mouse. Null where it would leave the grid. */
export function stepped(tile: Tile, step: Step, columns: number): Tile | null {
  const { x, y, w, h } = tile;
  const next: Record<Step, Partial<Tile>> = {
    left: { x: x - 1 },
    right: { x: x + 1 },
    up: { y: y - 1 },
    down: { y: y + 1 },
    wider: { w: w + 1 },
    narrower: { w: w - 1 },
    taller: { h: h + 1 },
    lower: { h: h - 1 },
  };
  const moved = { ...tile, ...next[step] };
  const inside = moved.x >= 0 && moved.y >= 0 && moved.w >= 1 && moved.h >= 1 && moved.x + moved.w <= columns;
  return inside ? moved : null;
}

/** How tiles stand under each other on a phone: as one reads them. */
export function inReadingOrder(tiles: Tile[]): Tile[] {
  return [...tiles].sort((one, other) => one.y - other.y || one.x - other.x);
}

/** Whether both would be saved as the same. */
export function same(one: Board, other: Board): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value && typeof value === "object")
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([name, item]) => [name, sorted(item)]),
    );
  return value;
}

/** What somebody who looks at a board chose: by the top of the page, and by tiles that filter. */
export interface View {
  range: Range | null;
  filters: Condition[];
  compare: boolean | null;
}

/** The question that a tile asks: the board's range in the place of its own, the board's filters beside its own. As the server does it for
 * links (`almanac.boards`). `saved`: bodies of saved questions by name. Null where there is none, or a saved one is not known yet. */
export function effective(
  board: Board,
  tile: Tile,
  view: View,
  saved: ReadonlyMap<string, Question>,
  kinds: readonly Kind[],
): Question | null {
  if (!tile.question) return null;
  const name = tile.question.saved;
  const whole = name === undefined ? tile.question : { ...saved.get(name), ...tile.question };
  if (!whole.kind) return null;
  let question: Question = { ...tile.question };
  const range = view.range ?? board.range;
  if (range) {
    const { last: _last, date_from: _from, date_to: _to, ...rest } = question;
    question = { ...rest, ...range };
  }
  const more = [...(board.filters ?? []), ...view.filters];
  if (more.length) question.filters = [...((whole.filters as Condition[] | undefined) ?? []), ...more];
  const compare = view.compare ?? board.compare ?? null;
  const fields = (kinds.find((one) => one.kind === whole.kind)?.question as { properties?: object } | undefined)
    ?.properties;
  if (compare !== null && fields && "compare" in fields)
    question.compare = compare ? (whole.compare ?? "previous_period") : null;
  return question;
}

/** The steps of an editing, for undo and redo. */
export interface Steps {
  past: Board[];
  now: Board;
  future: Board[];
}

const MOST_STEPS = 100;

export function did(steps: Steps, next: Board): Steps {
  if (same(steps.now, next)) return steps;
  return { past: [...steps.past, steps.now].slice(-MOST_STEPS), now: next, future: [] };
}

export function undone(steps: Steps): Steps {
  const before = steps.past.at(-1);
  return before ? { past: steps.past.slice(0, -1), now: before, future: [steps.now, ...steps.future] } : steps;
}

export function redone(steps: Steps): Steps {
  const [next, ...later] = steps.future;
  return next ? { past: [...steps.past, steps.now], now: next, future: later } : steps;
}
