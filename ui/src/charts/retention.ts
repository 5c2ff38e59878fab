/** Cohorts as a triangle of cells: their sizes to the left, the weighted mean on top, what is not complete with a star. */

import type { CustomSeriesOption, EChartsOption } from "echarts";
import { axisText, type Context, cut, type Drawing, framed, Marks, widthOf } from "./drawing";
import { inkOn, onRamp } from "./palette";
import type { Cell, Triangle } from "./readings";
import { atAxis, intervalOf, isTime } from "./time";
import { tooltip } from "./tooltip";
import { said, saidInFull } from "./units";

const ROW = 28;
/** Between the mean and its cohorts, and before the next group. */
const AFTER_MEAN = 6;
const BEFORE_GROUP = 16;
const HEAD = 24;
/** More cohorts than these are in the table alone; the latest are shown. */
const MOST = 60;

interface Placed {
  row: number;
  column: number;
  value: number | null;
  cell: Cell | null;
  mark: number | null;
  title: string;
}

export function retention(reading: Triangle, context: Context): Drawing {
  const { palette, of } = context;
  const marks = new Marks(of);
  const notes: string[] = [];
  const { rows, placed } = laidOut(reading, marks, notes);
  if (placed.some((one) => one.cell && !one.cell.complete)) notes.push("* not complete yet; the mean leaves it out.");
  const labels = rows.map((row) => row.label);
  const left = Math.min(Math.max(...labels.map(widthOf), 40) + 12, context.width * 0.3);
  const sizes = context.width < 420 ? 44 : 56;
  const cellWidth = Math.max((context.width - left - sizes - 4) / Math.max(reading.columns.length, 1), 12);
  const top = HEAD + (reading.columnName ? 18 : 0);
  const beyond = placed.filter((one) => one.column > 0 && one.value !== null).map((one) => one.value as number);
  const greatest =
    reading.unit === "share" ? Math.max(...beyond, 0.01) : Math.max(...placed.map((one) => one.value ?? 0), 1e-9);
  const text = (words: string, x: number, y: number, more: object = {}) => ({
    type: "text",
    silent: true,
    style: {
      text: words,
      x,
      y,
      fill: palette.faint,
      font: `12px ${palette.font}`,
      textVerticalAlign: "middle",
      ...more,
    },
  });
  const every = Math.max(1, Math.ceil((Math.max(...reading.columns.map(widthOf)) + 6) / cellWidth));
  const heads = reading.columns.flatMap((column, place) =>
    place % every === 0
      ? [text(column, left + sizes + (place + 0.5) * cellWidth, top - HEAD / 2, { textAlign: "center" })]
      : [],
  );
  const sides = rows.flatMap((row) => {
    const y = top + row.top + ROW / 2;
    const strong = row.mean ? { fill: palette.ink, font: `600 12px ${palette.font}` } : { fill: palette.ink };
    return [
      text(cut(row.label, left - 8), 0, y, strong),
      ...(row.size === null ? [] : [text(said(row.size, "count"), left + sizes - 10, y, { textAlign: "right" })]),
    ];
  });
  const drawn: CustomSeriesOption = {
    type: "custom",
    coordinateSystem: "none",
    data: placed.map((one) => ({ value: one.value ?? 0, ...(one.mark === null ? {} : { mark: one.mark }) })),
    renderItem: ({ dataIndex }) => {
      const one = placed[dataIndex];
      if (!one) return null as never;
      const x = left + sizes + one.column * cellWidth;
      const y = top + (rows[one.row]?.top ?? 0);
      const fill = one.value === null ? "transparent" : onRamp(palette, greatest ? one.value / greatest : 0);
      const star = one.cell && !one.cell.complete ? "*" : "";
      const words = `${said(one.value, reading.unit, of).replace(" %", "")}${star}`;
      const fits = widthOf(words) <= cellWidth - 2;
      const ink = one.value === null ? palette.faint : inkOn(fill);
      const edge = star ? { stroke: palette.faint, lineDash: [3, 2], lineWidth: 1 } : {};
      const children: object[] = [
        {
          type: "rect",
          shape: { x: x + 1, y: y + 1, width: cellWidth - 2, height: ROW - 2, r: 2 },
          style: { fill, ...edge },
        },
      ];
      if (fits) children.push(text(words, x + cellWidth / 2, y + ROW / 2, { fill: ink, textAlign: "center" }));
      return { type: "group", children } as never;
    },
  };
  const sizeHead = text("People", left + sizes - 10, top - HEAD / 2, { textAlign: "right" });
  const columnHead = reading.columnName
    ? [text(cut(columnHeadOf(reading), context.width - left - sizes), left + sizes, 8, { ...axisText(palette) })]
    : [];
  const option: EChartsOption = {
    ...framed(context),
    graphic: [...heads, ...sides, sizeHead, ...columnHead] as never,
    series: [drawn],
  };
  option.tooltip = {
    ...(option.tooltip as object),
    trigger: "item",
    formatter: (found: unknown) => told(placed[(found as { dataIndex?: number }).dataIndex ?? 0], reading, of),
  };
  return { option, marks: marks.all, notes, height: top + (rows[rows.length - 1]?.top ?? 0) + ROW + 4, series: [] };
}

function laidOut(reading: Triangle, marks: Marks, notes: string[]) {
  const rows: { label: string; size: number | null; mean: boolean; top: number }[] = [];
  let top = 0;
  const placed: Placed[] = [];
  for (const group of reading.groups) {
    const of = group.name ? `${group.name}: ` : "";
    const size = group.cohorts.reduce((sum, cohort) => sum + cohort.size, 0);
    if (rows.length) top += BEFORE_GROUP;
    rows.push({ label: group.name ? `${group.name}, mean` : "Weighted mean", size, mean: true, top });
    top += ROW + AFTER_MEAN;
    group.mean.forEach((value, column) => {
      placed.push({
        row: rows.length - 1,
        column,
        value,
        cell: null,
        mark: null,
        title: `${of}weighted mean of the complete cohorts`,
      });
    });
    const shown = group.cohorts.slice(-MOST);
    if (shown.length < group.cohorts.length)
      notes.push(`The latest ${MOST} of ${group.cohorts.length} cohorts; all are in the table.`);
    const times = group.cohorts.map((cohort) => cohort.label);
    const interval = times.every(isTime) ? intervalOf(times) : "";
    shown.forEach((cohort, index) => {
      const before = shown[index - 1]?.label ?? null;
      const label = interval ? atAxis(cohort.label, interval, before) : cohort.label;
      rows.push({ label: group.name ? `${group.name} · ${label}` : label, size: cohort.size, mean: false, top });
      top += ROW;
      cohort.cells.forEach((cell, column) => {
        if (!cell) return;
        const title = `${of}cohort of ${label}`;
        const place = `${title}, ${reading.columnName.toLowerCase()} ${reading.columns[column] ?? ""}`;
        const more = [
          cell.count === null ? "" : `${saidInFull(cell.count, "count")} of ${saidInFull(cohort.size, "count")} people`,
          cell.complete ? "" : "not complete",
        ];
        const at = {
          series: 0,
          data: placed.length,
          name: "",
          place,
          value: cell.value,
          unit: reading.unit,
          row: cell.row,
          more: more.filter(Boolean).join(", "),
        };
        placed.push({ row: rows.length - 1, column, value: cell.value, cell, mark: marks.add(at), title });
      });
    });
  }
  return { rows, placed };
}

function columnHeadOf({ columnName, valueName, unit }: Triangle): string {
  return `${columnName} · ${valueName}${unit === "share" ? ", %" : ""}`;
}

function told(one: Placed | undefined, reading: Triangle, of: string): string {
  if (!one) return "";
  const lines: { name: string; value: number | null; unit: Triangle["unit"] | "count" }[] = [
    { name: reading.valueName, value: one.value, unit: reading.unit },
  ];
  if (one.cell && one.cell.count !== null) lines.push({ name: "People", value: one.cell.count, unit: "count" });
  const head = `${one.title.charAt(0).toUpperCase()}${one.title.slice(1)} · ${reading.columnName.toLowerCase()} ${reading.columns[one.column] ?? ""}`;
  return tooltip(head, lines, of, one.cell && !one.cell.complete ? ["Not complete yet"] : []);
}
