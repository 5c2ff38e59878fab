/** A question as a tile of a board. */

import type { Question } from "../../api/types";

export interface Tile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  type: string;
  title?: string;
  question?: Question;
  chart?: Record<string, unknown>;
}

export interface BoardBody {
  title?: string;
  columns?: number;
  tiles?: Tile[];
}

const COLUMNS = 12;
const SIZE = { w: 6, h: 4 };

/** The board with one tile more: beside the last ones where there is room, else below all. */
export function withTile(board: BoardBody, tile: Pick<Tile, "title" | "question" | "chart">): BoardBody {
  const tiles = board.tiles ?? [];
  const w = Math.min(SIZE.w, board.columns ?? COLUMNS);
  const place = freePlace(tiles, w, board.columns ?? COLUMNS);
  return { ...board, tiles: [...tiles, { id: freeId(tiles), type: "question", ...place, w, h: SIZE.h, ...tile }] };
}

function freePlace(tiles: readonly Tile[], w: number, columns: number): { x: number; y: number } {
  const end = Math.max(0, ...tiles.map((tile) => tile.y + tile.h));
  const lowest = tiles.filter((tile) => tile.y + tile.h === end);
  const y = Math.min(end, ...lowest.map((tile) => tile.y));
  for (let x = 0; x + w <= columns; x += 1) {
    const free = tiles.every((tile) => x + w <= tile.x || tile.x + tile.w <= x || tile.y + tile.h <= y);
    if (free) return { x, y };
  }
  return { x: 0, y: end };
}

function freeId(tiles: readonly Tile[]): string {
  const taken = new Set(tiles.map((tile) => tile.id));
  let number = tiles.length + 1;
  while (taken.has(`tile${number}`)) number += 1;
  return `tile${number}`;
}
