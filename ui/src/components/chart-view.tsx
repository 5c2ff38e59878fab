/** A chart of an answer, with mouse, keyboard and screen reader. ECharts comes when the first chart is drawn. */

import { Box, Group, Skeleton, Text, UnstyledButton, useComputedColorScheme } from "@mantine/core";
import { useElementSize, useReducedMotion } from "@mantine/hooks";
import type { ECharts } from "echarts/core";
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import type { Answer, Question, Row } from "../api/types";
import {
  type Annotation,
  type ChartChoice,
  type ChartPlan,
  type ChartType,
  type Mark,
  neighbour,
  plan as planOf,
} from "../charts";
import { useProject } from "../state/url";
import { AnswerTable } from "./answer-table";
import classes from "./chart.module.css";
import { NumberTiles } from "./number-tiles";
import { useOutlines } from "./outlines";

export type Pick = (row: Row, mark: Mark | null, at: { x: number; y: number }) => void;

export interface ChartViewProps {
  answer: Answer;
  question: Question;
  /** Instead of the choice's own; left out: what fits best. */
  type?: ChartType;
  choice?: ChartChoice;
  /** Pixels; left out: what the chart needs. */
  height?: number;
  compact?: boolean;
  annotations?: Annotation[];
  /** A mark was clicked, or Enter pressed on it. */
  onPick?: Pick;
  /** Series were shown or hidden; the names of all that are hidden. */
  onHide?: (names: string[]) => void;
  /** T was pressed: the table is wanted. */
  onTable?: () => void;
}

const NO_CHOICE: ChartChoice = {};
const LEAST_HEIGHT = 120;

export function ChartView(props: ChartViewProps) {
  const { answer, question, type, choice = NO_CHOICE, height, compact = false, annotations, onPick } = props;
  const { ref, width: measured } = useElementSize();
  const theme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const project = useProject();
  const zone = String(answer.receipt.timezone ?? project.zone);
  const width = Math.round(measured / 8) * 8;
  const [mapped, setMapped] = useState(false);
  const outlines = useOutlines(mapped);
  // biome-ignore lint/correctness/useExhaustiveDependencies: which countries have an outline is known once they are loaded
  const plan = useMemo(() => {
    if (!width) return null;
    const chosen = { ...choice, ...(type ? { type } : {}) };
    const room = {
      theme,
      zone,
      width,
      compact,
      ...(height ? { height } : {}),
      ...(annotations ? { annotations } : {}),
    };
    return planOf(answer, question, { ...chosen, ...room });
  }, [answer, question, choice, type, theme, zone, width, compact, height, annotations, outlines.ready]);
  useEffect(() => setMapped(plan?.needsWorld ?? false), [plan]);
  const waits = plan?.needsWorld && !outlines.ready;
  return (
    <Box ref={ref} className={classes.whole} {...(height && plan?.type !== "number" ? { h: height } : {})}>
      {waits && !outlines.failed && <Skeleton height={height ?? plan.height} role="status" aria-label="Loading" />}
      {waits && outlines.failed && <Text c="dimmed">The map could not be loaded. The table has all numbers.</Text>}
      {plan && !waits && (
        <Drawn {...props} plan={plan} choice={choice} {...(onPick ? { onPick } : {})} compact={compact} />
      )}
    </Box>
  );
}

function Drawn({
  plan,
  answer,
  choice = NO_CHOICE,
  height,
  compact = false,
  onPick,
  onHide,
  onTable,
}: ChartViewProps & { plan: ChartPlan }) {
  if (plan.type === "table")
    return (
      <AnswerTable
        answer={answer}
        height={height ?? 480}
        {...(choice.unit ? { unit: choice.unit } : {})}
        {...(onPick ? { onPick } : {})}
      />
    );
  if (plan.type === "number")
    return <NumberTiles numbers={plan.numbers} compact={compact} {...(onPick ? { onPick } : {})} />;
  const legend = onHide && plan.series.length > 1;
  const notes = compact ? [] : plan.notes;
  return (
    <>
      {legend && <Series names={plan.series} hidden={choice.hidden ?? []} onHide={onHide} />}
      <Canvas
        plan={plan}
        {...(height ? { height: height - (notes.length ? 24 : 0) - (legend ? 28 : 0) } : {})}
        {...(onPick ? { onPick } : {})}
        {...(onTable ? { onTable } : {})}
      />
      {notes.length > 0 && (
        <Text size="xs" c="dimmed" mt={4}>
          {notes.join(" ")}
        </Text>
      )}
    </>
  );
}

/** Names of all series; a click hides one or shows it again. */
function Series({ names, hidden, onHide }: { names: string[]; hidden: string[]; onHide: (names: string[]) => void }) {
  const gone = hidden.filter((name) => names.includes(name));
  if (!gone.length) return null;
  return (
    <Group gap="xs" mb={4} wrap="wrap">
      <Text size="xs" c="dimmed">
        Hidden:
      </Text>
      {gone.map((name) => (
        <UnstyledButton
          key={name}
          className={classes.hidden ?? ""}
          onClick={() => onHide(hidden.filter((one) => one !== name))}
        >
          {name || "(no name)"} <span aria-hidden>×</span>
        </UnstyledButton>
      ))}
    </Group>
  );
}

interface CanvasProps {
  plan: ChartPlan;
  height?: number;
  onPick?: Pick;
  onTable?: () => void;
}

function Canvas({ plan, height, onPick, onTable }: CanvasProps) {
  const still = useReducedMotion();
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<ECharts | null>(null);
  const latest = useRef({ plan, onPick });
  latest.current = { plan, onPick };
  const [ready, setReady] = useState(false);
  const [failed, setFailed] = useState(false);
  const [at, setAt] = useState(-1);
  const help = useId();
  const needed = Math.max(plan.height, LEAST_HEIGHT);
  const inner = Math.max(height ?? 0, height && FLEXIBLE.has(plan.type) ? 0 : needed);

  useEffect(() => {
    let gone = false;
    import("../charts/echarts").then(
      (parts) => {
        if (gone || !place.current) return;
        chart.current = parts.init(place.current, null, { renderer: "canvas" });
        listen(chart.current, latest);
        setReady(true);
      },
      () => setFailed(true),
    );
    return () => {
      gone = true;
      chart.current?.dispose();
      chart.current = null;
    };
  }, []);

  useEffect(() => {
    if (!ready || !chart.current || !plan.option) return;
    chart.current.resize();
    chart.current.setOption({ ...plan.option, animation: !still }, { notMerge: true, lazyUpdate: true });
    setAt(-1);
  }, [plan, ready, still]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the box on the page changed, whatever the reason
  useEffect(() => chart.current?.resize(), [inner]);

  function show(index: number) {
    setAt(index);
    const mark = plan.marks[index];
    if (!mark || !chart.current) return;
    chart.current.dispatchAction({ type: "showTip", seriesIndex: mark.series, dataIndex: mark.data });
  }

  function onKey(event: KeyboardEvent) {
    const key = KEYS[event.key];
    if (key) {
      event.preventDefault();
      show(neighbour(plan.marks, at, key));
    } else if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      show(event.key === "Home" ? 0 : plan.marks.length - 1);
    } else if (event.key === "Enter") {
      event.preventDefault(); // else the same key would press the first thing of the menu that opens
      const mark = plan.marks[at];
      const box = place.current?.getBoundingClientRect();
      if (!mark?.row || !onPick || !box) return;
      const { row } = mark;
      const middle = { x: box.left + box.width / 2, y: box.top + Math.min(box.height / 2, 120) };
      setTimeout(() => onPick(row, mark, middle)); // a menu that opens within the event is closed by its rest
    } else if (event.key.toLowerCase() === "t" && !event.ctrlKey && !event.metaKey && !event.altKey) onTable?.();
  }

  if (failed) return <Text c="dimmed">The chart could not be loaded. The table has all numbers.</Text>;
  return (
    <Box className={classes.scroll} {...(height ? { h: height } : {})}>
      {/* biome-ignore lint/a11y/useSemanticElements: a chart is no fieldset */}
      <div
        role="group"
        aria-roledescription="chart"
        aria-label={plan.title}
        aria-describedby={help}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys walk its points
        tabIndex={0}
        className={classes.canvas}
        style={{ height: inner }}
        onKeyDown={onKey}
        onBlur={() => chart.current?.dispatchAction({ type: "hideTip" })}
      >
        <div ref={place} aria-hidden style={{ width: "100%", height: "100%" }} />
        {!ready && <Skeleton pos="absolute" inset={0} height="100%" />}
      </div>
      <div id={help} className={classes.unseen}>
        {plan.summary} {plan.notes.join(" ")} Arrow keys go from point to point
        {onPick ? ", Enter says what is behind one" : ""}
        {onTable ? ", T shows the table" : ""}.
      </div>
      <div aria-live="polite" className={classes.unseen}>
        {plan.marks[at]?.sentence ?? ""}
      </div>
    </Box>
  );
}

const KEYS: Record<string, "left" | "right" | "up" | "down"> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};
/** These take the height that there is; the others need what their rows need. */
const FLEXIBLE = new Set<ChartType>(["line", "area", "pie", "scatter", "map", "histogram", "sankey"]);

/** A click on a mark picks it; one beside the marks of lines picks the nearest of that day. */
function listen(chart: ECharts, latest: { current: { plan: ChartPlan; onPick: Pick | undefined } }): void {
  let taken = false;
  const pick = (mark: Mark | undefined, event: unknown) => {
    const source = (event as { event?: MouseEvent } | undefined)?.event;
    if (mark?.row) latest.current.onPick?.(mark.row, mark, { x: source?.clientX ?? 0, y: source?.clientY ?? 0 });
  };
  chart.on("click", (params) => {
    const place = (params.data as { mark?: number } | undefined)?.mark;
    if (place === undefined) return;
    taken = true;
    pick(latest.current.plan.marks[place], params.event);
  });
  chart.getZr().on("click", (event) => {
    // ECharts tells of marks first or after, as the renderer has it: wait for the end of the turn.
    setTimeout(() => {
      if (!taken) pick(nearest(chart, latest.current.plan, [event.offsetX, event.offsetY]), event);
      taken = false;
    });
  });
}

function nearest(chart: ECharts, { type, marks }: ChartPlan, at: [number, number]): Mark | undefined {
  if (type !== "line" && type !== "area" && type !== "bar") return undefined;
  if (!chart.containPixel({ gridIndex: 0 }, at)) return undefined;
  const [x, y] = chart.convertFromPixel({ gridIndex: 0 }, at) as unknown as [number, number];
  const lying =
    type === "bar" &&
    marks.length > 0 &&
    (chart.getOption().yAxis as { type?: string }[] | undefined)?.[0]?.type === "category";
  const [place, value] = lying ? [y, x] : [x, y];
  const there = marks.filter((mark) => mark.data === Math.round(place));
  return there.sort((one, other) => Math.abs((one.value ?? 0) - value) - Math.abs((other.value ?? 0) - value))[0];
}
