/** What drawings of rows below each other share: names at the left, values along the bottom, and a word about rows that are left out. */

import type { XAXisComponentOption, YAXisComponentOption } from "echarts";
import { axisText, type Context, cut, widthOf } from "./drawing";

/** Pixels for the names at the left: at most that part of the width. */
export function namesRoom(names: string[], context: Context, part: number): number {
  return Math.min(Math.max(...names.map(widthOf), 24) + 12, context.width * part);
}

export const rowsGrid = (left: number, { options }: Context) => ({
  top: 4,
  left,
  right: 24,
  bottom: options.compact ? 20 : 44,
  outerBoundsMode: "none" as const,
});

/** The names, the first on top. `line`: whether a line stands between them and the rows. */
export function namesAxis(names: string[], left: number, line: boolean, { palette }: Context): YAXisComponentOption {
  return {
    type: "category",
    inverse: true,
    data: names.map((_, place) => String(place)), // two rows of one name stay two
    axisLine: line ? { lineStyle: { color: palette.line } } : { show: false },
    axisTick: { show: false },
    axisLabel: {
      ...axisText(palette),
      color: palette.ink,
      interval: 0,
      formatter: (_: string, place: number) => cut(names[place] ?? "", left - 12),
    },
  };
}

/** The values; `own` says how they run and how they are written. */
export function valuesAxis(
  name: string,
  own: { label: Record<string, unknown> } & Record<string, unknown>,
  { palette, options }: Context,
): XAXisComponentOption {
  const { label, ...rest } = own;
  return {
    ...rest,
    axisLabel: { ...axisText(palette), hideOverlap: true, ...label },
    splitLine: { lineStyle: { color: palette.line } },
    ...(options.compact
      ? {}
      : { name, nameLocation: "middle" as const, nameGap: 28, nameTextStyle: axisText(palette) }),
  } as XAXisComponentOption;
}

/** What is said where only the first rows are drawn. */
export function leftOut(most: number, all: number): string[] {
  return all > most ? [`The first ${most} of ${all}; all are in the table.`] : [];
}

/** Pixels that so many rows need. */
export const rowsHeight = (count: number, row: number, { options }: Context) =>
  count * row + (options.compact ? 24 : 48);
