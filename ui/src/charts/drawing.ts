/** What all drawings share: the context they are made in, marks, the frame around them, and lines cut down to what a person can tell apart. */

import type { EChartsOption, LegendComponentOption } from "echarts";
import type { Row } from "../api/types";
import { colourOf, type Palette } from "./palette";
import { type Line, OTHER, type Reading, type Series } from "./readings";
import type { ChartOptions, Mark } from "./types";
import { saidInFull, type Unit } from "./units";

export interface Context {
  options: ChartOptions;
  palette: Palette;
  /** Pixels that the drawing has. */
  width: number;
  of: string;
}

/** A drawing on its way to a plan. */
export interface Drawing {
  option: EChartsOption;
  marks: Mark[];
  notes: string[];
  height: number;
  series: string[];
  needsWorld?: boolean;
}

/** More series than these are one, "Other". */
export const MOST_SERIES = 7;
/** Up to so many series are labelled at their ends; beyond, a legend does it. */
export const MOST_DIRECT = 4;

/** Collects marks; each drawn item holds the place of its own in `mark`. */
export class Marks {
  readonly all: Mark[] = [];

  constructor(private readonly of: string) {}

  add(at: {
    series: number;
    data: number;
    name: string;
    place: string;
    value: number | null;
    unit: Unit;
    row: Row | null;
    more?: string;
  }): number {
    const said = saidInFull(at.value, at.unit, this.of);
    const sentence = `${[at.name, at.place].filter(Boolean).join(", ")}: ${said}${at.more ? `, ${at.more}` : ""}`;
    this.all.push({
      series: at.series,
      data: at.data,
      name: at.name,
      place: at.place,
      value: at.value,
      said,
      sentence,
      row: at.row,
    });
    return this.all.length - 1;
  }
}

/** Settings of every chart: type, motion, and the tooltip's looks. */
export function framed(context: Context): EChartsOption {
  const { palette } = context;
  return {
    animationDuration: 150,
    animationDurationUpdate: 150,
    animationEasing: "cubicOut",
    backgroundColor: "transparent",
    color: palette.series,
    textStyle: { fontFamily: palette.font, fontSize: 12, color: palette.ink },
    tooltip: {
      confine: true,
      backgroundColor: palette.surface,
      borderColor: palette.line,
      borderWidth: 1,
      padding: [8, 12],
      textStyle: { color: palette.ink, fontSize: 12, fontFamily: palette.font },
      extraCssText: "box-shadow: none; border-radius: 6px; max-width: 360px; font-variant-numeric: tabular-nums;",
      transitionDuration: 0,
    },
  };
}

export const axisText = (palette: Palette) => ({ color: palette.faint, fontSize: 12, fontFamily: palette.font });

/** The legend above a chart, where there are too many series for labels of their own. */
export function legend(context: Context, names: { name: string; colour: string }[]): LegendComponentOption {
  return {
    type: "scroll",
    top: 0,
    left: 0,
    right: 0,
    icon: "roundRect",
    itemWidth: 10,
    itemHeight: 10,
    itemGap: 16,
    selectedMode: false,
    pageIconColor: context.palette.faint,
    pageIconInactiveColor: context.palette.line,
    pageTextStyle: axisText(context.palette),
    textStyle: { ...axisText(context.palette), color: context.palette.ink, width: 160, overflow: "truncate" },
    data: names.map(({ name, colour }) => ({ name, itemStyle: { color: colour } })),
  };
}

/** Lines in their colours: without those that are hidden, and no more than can be told apart. */
export function shownLines(
  reading: Series,
  context: Context,
): { lines: (Line & { colour: string })[]; notes: string[]; names: string[] } {
  const names = reading.lines.map((line) => line.name);
  const hidden = new Set(context.options.hidden ?? []);
  const notes: string[] = [];
  let lines = reading.lines;
  if (lines.length > MOST_SERIES + (lines.some((line) => line.other) ? 1 : 0)) {
    const ranked = [...lines].filter((line) => !line.other).sort((one, two) => size(two) - size(one));
    const kept = new Set(ranked.slice(0, MOST_SERIES));
    const rest = lines.filter((line) => !kept.has(line));
    if (reading.adds === "yes") {
      lines = [...lines.filter((line) => kept.has(line)), added(rest)];
      notes.push(
        rest.length === 1
          ? `One more series is in the table, and in “${OTHER}” here.`
          : `${rest.length} series are “${OTHER}” here; the table has each of them.`,
      );
    } else {
      lines = lines.filter((line) => kept.has(line));
      notes.push(`${rest.length} further series are in the table; their values do not add up.`);
    }
  }
  const coloured = lines.map((line, place) => ({ ...line, colour: colourOf(context.palette, place, line.other) }));
  return { lines: coloured.filter((line) => !hidden.has(line.name)), notes, names };
}

const size = (line: Line) => line.values.reduce<number>((sum, value) => sum + Math.abs(value ?? 0), 0);

function added(lines: Line[]): Line {
  const first = lines[0] as Line;
  const sum = (all: (number | null)[][], place: number) => {
    const there = all.map((values) => values[place] ?? null).filter((value) => value !== null);
    return there.length ? there.reduce((one, other) => one + other, 0) : null;
  };
  const values = lines.map((line) => line.values);
  const before = lines.every((line) => line.before) ? lines.map((line) => line.before ?? []) : null;
  return {
    name: OTHER,
    values: first.values.map((_, place) => sum(values, place)),
    before: before && first.values.map((_, place) => sum(before, place)),
    complete: first.complete.map((_, place) => lines.every((line) => line.complete[place] !== false)),
    rows: lines.length === 1 ? first.rows : first.rows.map(() => null),
    unit: first.unit,
    other: true,
  };
}

/** Roughly how wide a text is drawn at 12 px; without a browser nothing can be measured. */
export function widthOf(text: string): number {
  let wide = 0;
  for (const letter of text)
    wide += /[MWmw@%]/.test(letter) ? 10 : /[ilj.,:;'|!ftr]/.test(letter) ? 4.2 : letter > "\u2e7f" ? 12 : 6.8;
  return wide;
}

/** A text cut to so many pixels. */
export function cut(text: string, pixels: number): string {
  if (widthOf(text) <= pixels) return text;
  let kept = text;
  while (kept.length > 1 && widthOf(`${kept}…`) > pixels) kept = kept.slice(0, -1);
  return `${kept.trimEnd()}…`;
}

/** Of the greatest and least of all values; null where there is none. */
export function extent(values: (number | null)[]): [number, number] | null {
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value === null) continue;
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return least <= greatest ? [least, greatest] : null;
}

export type Draw<R extends Reading> = (reading: R, context: Context) => Drawing;
