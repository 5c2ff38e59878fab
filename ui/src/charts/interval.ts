/** Estimates with their intervals against no effect, one below the other. */

import type { CustomSeriesOption, EChartsOption } from "echarts";
import { type Context, type Drawing, extent, framed, Marks } from "./drawing";
import type { Intervals } from "./readings";
import { leftOut, namesAxis, namesRoom, rowsGrid, rowsHeight, valuesAxis } from "./rows";
import { tooltip } from "./tooltip";
import { said, saidInFull } from "./units";

const ROW = 34;
const MOST = 40;

export function interval(reading: Intervals, context: Context): Drawing {
  const { palette, of } = context;
  const items = reading.items.slice(0, MOST);
  const marks = new Marks(of);
  const names = items.map((item) => item.name);
  const left = namesRoom(names, context, 0.4);
  const colour = palette.series[0] ?? "";
  const bounds = extent(items.flatMap((item) => [item.value, item.low, item.high, reading.reference])) ?? [0, 1];
  const pad = reading.logarithmic ? 1.3 : (bounds[1] - bounds[0]) * 0.06 || Math.abs(bounds[1]) * 0.1 || 1;
  const least = reading.logarithmic ? bounds[0] / pad : bounds[0] - pad;
  const greatest = reading.logarithmic ? bounds[1] * pad : bounds[1] + pad;
  const range = (item: Intervals["items"][number]) => {
    if (item.low === null && item.high === null) return "";
    return `${item.low === null ? "open" : saidInFull(item.low, reading.unit, of)} to ${item.high === null ? "open" : saidInFull(item.high, reading.unit, of)}`;
  };
  const drawn: CustomSeriesOption = {
    type: "custom",
    encode: { x: 0, y: 1 },
    data: items.map((item, data) => {
      const sure = item.sure === null ? "" : item.sure ? "significant" : "not significant";
      const more = [range(item), sure, item.about].filter(Boolean).join(", ");
      return {
        value: [item.value, data],
        mark: marks.add({
          series: 0,
          data,
          name: "",
          place: item.name,
          value: item.value,
          unit: reading.unit,
          row: item.row,
          more,
        }),
      };
    }),
    renderItem: ({ dataIndex }, api) => {
      const item = items[dataIndex];
      if (!item) return null as never;
      const at = (value: number) => api.coord([value, dataIndex])[0] as number;
      const y = api.coord([item.value, dataIndex])[1] as number;
      const stroke = item.sure === false ? palette.other : colour;
      const children: object[] = [];
      if (item.low !== null || item.high !== null) {
        const [x1, x2] = [at(item.low ?? least), at(item.high ?? greatest)];
        children.push({ type: "line", shape: { x1, y1: y, x2, y2: y }, style: { stroke, lineWidth: 3, opacity: 0.6 } });
      } else if (reading.reference !== null) {
        children.push({
          type: "line",
          shape: { x1: at(reading.reference), y1: y, x2: at(item.value), y2: y },
          style: { stroke, lineWidth: 2, opacity: 0.6 },
        });
      }
      const fill = item.sure === false ? palette.surface : stroke;
      children.push({
        type: "circle",
        shape: { cx: at(item.value), cy: y, r: 5 },
        style: { fill, stroke, lineWidth: 2 },
      });
      return { type: "group", children } as never;
    },
    ...(reading.reference === null
      ? {}
      : {
          markLine: {
            silent: true,
            symbol: ["none", "none"],
            animation: false,
            label: { show: false },
            lineStyle: { color: palette.faint, type: "solid", width: 1 },
            data: [{ xAxis: reading.reference }],
          },
        }),
  };
  const option: EChartsOption = {
    ...framed(context),
    grid: rowsGrid(left, context),
    yAxis: namesAxis(names, left, false, context),
    xAxis: valuesAxis(
      reading.axisName,
      {
        type: reading.logarithmic ? "log" : "value",
        min: least,
        max: greatest,
        ...(reading.logarithmic ? { logBase: 2 } : { splitNumber: 4 }),
        label: {
          showMinLabel: false,
          showMaxLabel: false,
          formatter: (value: number) => said(Number(value.toPrecision(3)), reading.unit, of),
        },
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
      const sure = item.sure === null ? [] : [item.sure ? "Significant" : "Not significant: it may be chance"];
      const foot = [...(range(item) ? [`Interval: ${range(item)}`] : []), ...sure, item.about];
      return tooltip(item.name, [{ name: "Value", value: item.value, unit: reading.unit }], of, foot);
    },
  };
  const notes = [
    ...(items.some((item) => item.sure === false) ? ["Hollow: not significant."] : []),
    ...leftOut(MOST, reading.items.length),
  ];
  return { option, marks: marks.all, notes, height: rowsHeight(items.length, ROW, context), series: [] };
}
