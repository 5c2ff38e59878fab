/** The series of upright charts: lines with what is not complete dashed, bars, the period before, and names at the ends. */

import type { BarSeriesOption, LineSeriesOption, ScatterSeriesOption } from "echarts";
import { type Context, cut, type Marks } from "./drawing";
import { faded } from "./palette";
import type { Line, Series } from "./readings";
import { spoken } from "./time-axis";

export type Coloured = Line & { colour: string };
export type AnySeries = LineSeriesOption | BarSeriesOption | ScatterSeriesOption;

export function lineOf(
  drawn: AnySeries[],
  line: Coloured,
  reading: Series,
  context: Context,
  marks: Marks,
  area: boolean,
  stacked: boolean,
): void {
  const values = line.values;
  const few = values.length <= 31;
  const shape = (data: NonNullable<LineSeriesOption["data"]>, alone: (place: number) => boolean): LineSeriesOption => ({
    type: "line",
    name: line.name,
    data,
    connectNulls: false,
    showSymbol: true,
    showAllSymbol: true,
    symbol: "circle",
    symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) => (few ? 5 : alone(dataIndex) ? 5 : 0),
    itemStyle: { color: line.colour },
    lineStyle: { color: line.colour, width: 2 },
    emphasis: { disabled: true },
    ...(area ? { areaStyle: { color: line.colour, opacity: stacked ? 0.55 : 0.12 } } : {}),
    ...(stacked ? { stack: "all" } : {}),
  });
  const open = (place: number) => values[place] !== null && line.complete[place] === false;
  const item = (place: number, series: number) => {
    const value = values[place] ?? null;
    if (value === null) return { value: "-" as const };
    const mark = marks.add({
      series,
      data: place,
      name: line.name,
      place: spoken(reading, place),
      value,
      unit: line.unit,
      row: line.rows[place] ?? null,
      ...(open(place) ? { more: "not complete" } : {}),
    });
    return { value, mark };
  };
  const lonely = (there: (place: number) => boolean) => (place: number) =>
    there(place) && !there(place - 1) && !there(place + 1);
  const main = drawn.length;
  if (stacked || !values.some((_, place) => open(place))) {
    drawn.push(
      shape(
        values.map((_, place) => item(place, main)),
        lonely((place) => (values[place] ?? null) !== null),
      ),
    );
  } else {
    const solid = (place: number) => (values[place] ?? null) !== null && !open(place);
    drawn.push(
      shape(
        values.map((_, place) => (solid(place) ? item(place, main) : { value: "-" as const })),
        lonely(solid),
      ),
    );
    const near = (place: number) => open(place) || (solid(place) && (open(place - 1) || open(place + 1)));
    const dashed = shape(
      values.map((value, place) =>
        open(place) ? item(place, main + 1) : { value: near(place) ? value : "-" },
      ) as NonNullable<LineSeriesOption["data"]>,
      () => false,
    );
    const growing = { color: context.palette.surface, borderColor: line.colour, borderWidth: 1.5 };
    drawn.push({
      ...dashed,
      lineStyle: { color: line.colour, width: 2, type: [3, 3] },
      itemStyle: growing,
      symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) => (open(dataIndex) ? 5 : 0),
      ...(area ? { areaStyle: { color: line.colour, opacity: 0.05 } } : {}),
    });
  }
  if (!line.before || stacked) return;
  const before: LineSeriesOption = shape(
    line.before.map((value) => value ?? "-"),
    () => false,
  );
  const { areaStyle: _area, ...plain } = before;
  drawn.push({
    ...plain,
    silent: true,
    symbolSize: 0,
    z: 1,
    lineStyle: { color: line.colour, width: 1.5, type: [5, 4], opacity: 0.5 },
  });
}

export function barOf(
  drawn: AnySeries[],
  line: Coloured,
  reading: Series,
  context: Context,
  marks: Marks,
  stacked: boolean,
): void {
  const base: BarSeriesOption = {
    type: "bar",
    name: line.name,
    barMaxWidth: 48,
    emphasis: { disabled: true },
    itemStyle: { color: line.colour },
  };
  if (line.before && !stacked) {
    const edge = {
      color: faded(line.colour, 0.22),
      borderColor: line.colour,
      borderType: "dashed" as const,
      borderWidth: 1,
    };
    drawn.push({
      ...base,
      silent: true,
      data: line.before.map((value) => value ?? "-"),
      itemStyle: { ...edge, opacity: 0.6 },
    });
  }
  const main = drawn.length;
  const data = line.values.map((value, place) => {
    if (value === null) return { value: "-" as const };
    const open = line.complete[place] === false;
    const mark = marks.add({
      series: main,
      data: place,
      name: line.name,
      place: spoken(reading, place),
      value,
      unit: line.unit,
      row: line.rows[place] ?? null,
      ...(open ? { more: "not complete" } : {}),
    });
    const growing = {
      color: faded(line.colour, 0.45),
      borderColor: line.colour,
      borderType: "dashed" as const,
      borderWidth: 1.5,
    };
    return { value, mark, ...(open ? { itemStyle: growing } : {}) };
  });
  const gap = context.palette.surface;
  drawn.push({
    ...base,
    data,
    ...(stacked ? { stack: "all", itemStyle: { color: line.colour, borderColor: gap, borderWidth: 0.5 } } : {}),
  });
}

/** Dots with names where lines end. */
export function ends(lines: Coloured[], room: number, ink: string): ScatterSeriesOption {
  const data = lines.flatMap((line) => {
    const place = line.values.findLastIndex((value) => value !== null);
    if (place < 0) return [];
    const label = { show: true, formatter: () => cut(line.name, room - 10), color: ink };
    return [{ value: [place, line.values[place] ?? 0], itemStyle: { color: line.colour }, label }];
  });
  return {
    type: "scatter",
    name: "",
    silent: true,
    symbolSize: 6,
    z: 5,
    clip: false,
    data,
    label: { show: true, position: "right", distance: 6, fontWeight: 600, fontSize: 12 },
    labelLayout: { moveOverlap: "shiftY" },
    tooltip: { show: false },
  };
}
