/** What the chart module takes and gives. It knows no browser: reports draw with it too. */

import type { EChartsOption } from "echarts";
import type { Row } from "../api/types";

export type ChartType =
  | "line"
  | "area"
  | "bar"
  | "stacked"
  | "pie"
  | "scatter"
  | "table"
  | "number"
  | "funnel"
  | "retention"
  | "sankey"
  | "map"
  | "histogram"
  | "box"
  | "interval";

export type ThemeName = "light" | "dark";

/** What a person chose for a chart; boards and saved questions keep it. Left out: what fits best. */
export interface ChartChoice {
  type?: ChartType;
  /** Column that is drawn, where an answer has several. */
  measure?: string;
  /** Names of series that are not drawn. */
  hidden?: string[];
  /** For numbers: what is aimed at. */
  target?: number;
  /** What the values are counted in, such as EUR. */
  unit?: string;
}

/** A flag on the time axis: a release, an outage. */
export interface Annotation {
  /** A date or an instant. */
  at: string;
  text: string;
}

export interface ChartOptions extends ChartChoice {
  theme: ThemeName;
  /** IANA zone in which instants are told. */
  zone: string;
  /** Pixels that there are. */
  width: number;
  height?: number;
  /** A tile: no more words than needed. */
  compact?: boolean;
  annotations?: Annotation[];
}

/** One thing that is drawn and stands for something: a point, a bar, a cell, a flow. */
export interface Mark {
  /** Where ECharts has it. */
  series: number;
  data: number;
  /** Of which line, area or group it is; empty where there is but one. */
  name: string;
  /** Where it stands: the day, the step, the bin. */
  place: string;
  value: number | null;
  /** Value as people read it, in full. */
  said: string;
  /** The whole in a sentence, for the tooltip's first line and for screen readers. */
  sentence: string;
  /** The answer's row that it stands for; null where it stands for several. */
  row: Row | null;
}

/** A number as a tile shows it. */
export interface NumberTile {
  label: string;
  value: number | null;
  /** Short and in full. */
  said: string;
  full: string;
  /** When it is from, in words; empty: the whole range. */
  when: string;
  before: number | null;
  /** "+12 %", or empty where there is nothing to compare with. */
  change: string;
  beforeSaid: string;
  direction: "up" | "down" | "same" | "none";
  /** The change is no more than chance would make of it. */
  noise: boolean;
  /** The period is not over. */
  growing: boolean;
  /** Values of the periods, for the spark line; empty: none. */
  spark: (number | null)[];
  /** How many of the last periods are not over. */
  sparkGrowing: number;
  target: { value: number; said: string; share: number } | null;
  row: Row | null;
}

export interface ChartPlan {
  type: ChartType;
  title: string;
  /** The chart in a sentence or two, for those who do not see it. */
  summary: string;
  /** What a reader should know of the drawing: that the axis does not begin at zero, that the rest is "Other". */
  notes: string[];
  /** For charts; null for tables and numbers. */
  option: EChartsOption | null;
  numbers: NumberTile[];
  marks: Mark[];
  /** Pixels that it needs to be read, at least. */
  height: number;
  /** All series that can be shown and hidden, by name. */
  series: string[];
  /** The world's outlines have to be loaded first. */
  needsWorld: boolean;
}

/** A column of which a chart can be made. */
export interface Measure {
  name: string;
  label: string;
}
