/** What chart types are called, and their signs. */

import {
  type Icon,
  IconArrowsHorizontal,
  IconChartAreaLine,
  IconChartBar,
  IconChartBarPopular,
  IconChartCandle,
  IconChartDots,
  IconChartGridDots,
  IconChartHistogram,
  IconChartLine,
  IconChartPie,
  IconChartSankey,
  IconFilter,
  IconNumber123,
  IconTable,
  IconWorld,
} from "@tabler/icons-react";
import type { ChartType } from "../charts";

export const LABELS: Record<ChartType, string> = {
  line: "Line",
  area: "Area",
  bar: "Bars",
  stacked: "Stacked bars",
  pie: "Pie",
  scatter: "Scatter",
  table: "Table",
  number: "Number",
  funnel: "Funnel",
  retention: "Triangle",
  sankey: "Flow",
  map: "World map",
  histogram: "Histogram",
  box: "Box",
  interval: "Intervals",
};

export const ICONS: Record<ChartType, Icon> = {
  line: IconChartLine,
  area: IconChartAreaLine,
  bar: IconChartBar,
  stacked: IconChartBarPopular,
  pie: IconChartPie,
  scatter: IconChartDots,
  table: IconTable,
  number: IconNumber123,
  funnel: IconFilter,
  retention: IconChartGridDots,
  sankey: IconChartSankey,
  map: IconWorld,
  histogram: IconChartHistogram,
  box: IconChartCandle,
  interval: IconArrowsHorizontal,
};
