/** Two measures against each other: a point for each row. */

import type { EChartsOption } from "echarts";
import { axisText, type Context, cut, type Drawing, framed, Marks } from "./drawing";
import type { Points } from "./readings";
import { tooltip } from "./tooltip";
import { said, saidInFull } from "./units";

/** Up to so many points have their names beside them. */
const MOST_NAMED = 30;

export function scatter(reading: Points, context: Context): Drawing {
  const { palette, of } = context;
  const marks = new Marks("");
  const furthest = Math.max(...reading.items.map((item) => item.x));
  const named = reading.items.length <= MOST_NAMED && !context.options.compact;
  const axis = (which: Points["x"], below: boolean) => ({
    type: "value" as const,
    name: which.name,
    nameLocation: (below ? "middle" : "end") as "middle" | "end",
    nameGap: below ? 28 : 12,
    nameTextStyle: { ...axisText(palette), align: (below ? "center" : "left") as "center" | "left" },
    axisLabel: { ...axisText(palette), hideOverlap: true, formatter: (value: number) => said(value, which.unit) },
    axisLine: { show: below, lineStyle: { color: palette.line } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: palette.line } },
  });
  const option: EChartsOption = {
    ...framed(context),
    grid: { top: 32, left: 4, right: 24, bottom: 24, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: axis(reading.x, true),
    yAxis: axis(reading.y, false),
    series: [
      {
        type: "scatter",
        symbolSize: 10,
        itemStyle: { color: palette.series[0] ?? "", opacity: reading.items.length > 200 ? 0.4 : 0.8 },
        emphasis: { scale: 1.3 },
        label: {
          show: named,
          position: "right",
          color: palette.ink,
          fontSize: 12,
          formatter: ({ dataIndex }: { dataIndex: number }) => cut(reading.items[dataIndex]?.name ?? "", 120),
        },
        labelLayout: { hideOverlap: true },
        large: false,
        data: reading.items.map((item, data) => ({
          value: [item.x, item.y],
          ...(item.x > furthest * 0.75 ? { label: { position: "left" as const } } : {}),
          mark: marks.add({
            series: 0,
            data,
            name: "",
            place: `${item.name ? `${item.name}, ` : ""}${reading.x.name} ${saidInFull(item.x, reading.x.unit, of)}, ${reading.y.name}`,
            value: item.y,
            unit: reading.y.unit,
            row: item.row,
          }),
        })),
      },
    ],
  };
  option.tooltip = {
    ...(option.tooltip as object),
    trigger: "item",
    formatter: (found: unknown) => {
      const item = reading.items[(found as { dataIndex?: number }).dataIndex ?? 0];
      if (!item) return "";
      const lines = [
        { name: reading.x.name, value: item.x, unit: reading.x.unit },
        { name: reading.y.name, value: item.y, unit: reading.y.unit },
      ];
      return tooltip(item.name || "Row", lines);
    },
  };
  return { option, marks: marks.all, notes: [], height: 280, series: [] };
}
