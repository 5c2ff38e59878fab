/** Boxes: the middle half of the people, their median, and how far the rest reaches. */

import type { CustomSeriesOption, EChartsOption } from "echarts";
import { type Context, type Drawing, framed, Marks } from "./drawing";
import { faded } from "./palette";
import type { Boxes } from "./readings";
import { leftOut, namesAxis, namesRoom, rowsGrid, rowsHeight, valuesAxis } from "./rows";
import { tooltip } from "./tooltip";
import { said, secondsStep } from "./units";

const ROW = 40;
const MOST = 30;

export function box(reading: Boxes, context: Context): Drawing {
  const { palette, of } = context;
  const items = reading.items.slice(0, MOST);
  const marks = new Marks(of);
  const greatest = Math.max(
    ...items.map((item) => Math.max(item.high ?? 0, item.threeQuarters, item.average ?? 0)),
    1e-9,
  );
  const colour = palette.series[0] ?? "";
  const names = items.map((item) => item.name);
  const left = namesRoom(names, context, 0.36);
  const drawn: CustomSeriesOption = {
    type: "custom",
    data: items.map((item, data) => ({
      value: [item.median, data],
      mark: marks.add({
        series: 0,
        data,
        name: "Median",
        place: item.name,
        value: item.median,
        unit: reading.unit,
        row: item.row,
      }),
    })),
    encode: { x: 0, y: 1 },
    renderItem: ({ dataIndex }, api) => {
      const item = items[dataIndex];
      if (!item) return null as never;
      const at = (value: number) => api.coord([value, dataIndex])[0] as number;
      const middle = api.coord([item.median, dataIndex])[1] as number;
      const half = 9;
      const line = (x1: number, y1: number, x2: number, y2: number, width = 1.5) => ({
        type: "line",
        shape: { x1, y1, x2, y2 },
        style: { stroke: colour, lineWidth: width },
      });
      const [from, to] = [at(item.quarter), at(item.threeQuarters)];
      const children: object[] = [
        {
          type: "rect",
          shape: { x: from, y: middle - half, width: Math.max(to - from, 1), height: half * 2, r: 2 },
          style: { fill: faded(colour, 0.22), stroke: colour, lineWidth: 1.5 },
        },
        line(at(item.median), middle - half, at(item.median), middle + half, 3),
      ];
      if (item.high !== null)
        children.push(
          line(to, middle, at(item.high), middle),
          line(at(item.high), middle - 5, at(item.high), middle + 5),
        );
      if (item.low !== null)
        children.push(
          line(at(item.low), middle, from, middle),
          line(at(item.low), middle - 5, at(item.low), middle + 5),
        );
      if (item.average !== null) {
        children.push({
          type: "circle",
          shape: { cx: at(item.average), cy: middle, r: 3.5 },
          style: { fill: palette.surface, stroke: palette.ink, lineWidth: 1.5 },
        });
      }
      return { type: "group", children } as never;
    },
  };
  const option: EChartsOption = {
    ...framed(context),
    grid: rowsGrid(left, context),
    yAxis: namesAxis(names, left, true, context),
    xAxis: valuesAxis(
      reading.axisName,
      {
        type: "value",
        min: 0,
        ...(reading.unit === "seconds" ? { interval: secondsStep(greatest, 4) || 1 } : {}),
        max: greatest,
        label: { formatter: (value: number) => said(value, reading.unit, of) },
      },
      context,
    ),
    series: [drawn],
  };
  option.tooltip = {
    ...(option.tooltip as object),
    trigger: "item",
    formatter: (found: unknown) => {
      const item = items[(found as { dataIndex?: number }).dataIndex ?? 0];
      if (!item) return "";
      const lines: [string, number | null][] = [
        [reading.lowName, item.low],
        ["First quarter", item.quarter],
        ["Median", item.median],
        ["Third quarter", item.threeQuarters],
        [reading.highName, item.high],
        ["Mean", item.average],
      ];
      const told = lines
        .filter(([name, value]) => name && value !== null)
        .map(([name, value]) => ({ name, value, unit: reading.unit }));
      return tooltip(item.name, told, of, item.count === null ? [] : [`${said(item.count, "count")} people`]);
    },
  };
  const parts = [
    "Box: the middle half; thick line: median; ring: mean",
    reading.highName ? `whisker: ${reading.highName.toLowerCase()}` : "",
  ];
  const notes = [`${parts.filter(Boolean).join("; ")}.`, ...leftOut(MOST, reading.items.length)];
  return { option, marks: marks.all, notes, height: rowsHeight(items.length, ROW, context), series: [] };
}
