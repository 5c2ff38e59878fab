/** An answer that somebody else asked for: what AnswerView shows. Boards with questions of their own use it too. */

import {
  ActionIcon,
  Box,
  Button,
  Group,
  Loader,
  Menu,
  SegmentedControl,
  Select,
  Skeleton,
  Text,
  Title,
  Tooltip,
} from "@mantine/core";
import { IconCheck, IconDots, IconTable } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import type { Answer, Question, Row } from "../api/types";
import {
  type Annotation,
  type ChartChoice,
  type ChartType,
  chartsOf,
  chosenType,
  conditionOf,
  describe,
  hasPeople,
  type Mark,
  measuresFor,
  momentOf,
  rangeBehind,
} from "../charts";
import { duration } from "../format";
import classes from "./chart.module.css";
import { ICONS, LABELS } from "./chart-types";
import { ChartView } from "./chart-view";
import { useElapsed } from "./elapsed";
import { ExportMenu } from "./export-menu";
import { type Behind, PeopleDrawer } from "./people-drawer";
import { type Picked, PickMenu } from "./pick-menu";
import { ReceiptLine } from "./receipt";
import { Empty, ErrorNote, RowsSkeleton } from "./states";

export interface PanelProps {
  project: string;
  question: Question;
  answer: Answer | null;
  error: unknown;
  fetching: boolean;
  /** The answer is that of the question before. */
  old?: boolean;
  cancelled?: boolean;
  /** When the answer came, in ms. */
  cameAt: number;
  live?: boolean;
  liveError?: string;
  onCancel?: () => void;
  onRetry?: () => void;
  chart?: ChartChoice;
  /** Left out: the chart stays as it is. */
  onChart?: (chart: ChartChoice) => void;
  /** Pixels of the chart itself; left out: what it needs. */
  height?: number;
  /** Instead of the question in words; null: no title. */
  title?: ReactNode | null;
  /** A tile: no controls but the menu, short notes. */
  compact?: boolean;
  annotations?: Annotation[];
  /** Stands with the controls, to the right. */
  actions?: ReactNode;
  /** A value was chosen to filter by. */
  onFilter?: (condition: Record<string, unknown>) => void;
  /** A period was chosen to look into. */
  onRange?: (range: { date_from: string; date_to: string }) => void;
  /** A moment was chosen to be marked on the charts. */
  onMark?: (at: string) => void;
  /** Nobody may see who is behind a number: shared boards. */
  anonymous?: boolean;
}

const NO_CHART: ChartChoice = {};

export function AnswerPanel(props: PanelProps) {
  const { project, question, answer, error, fetching, onCancel, onRetry, compact = false } = props;
  const { chart = NO_CHART, onChart, height, annotations, onFilter, onRange, onMark, anonymous = false } = props;
  const [picked, setPicked] = useState<Picked | null>(null);
  const [behind, setBehind] = useState<Behind | null>(null);
  const seconds = useElapsed(fetching);
  const type = answer ? chosenType(answer, question, chart) : (chart.type ?? "line");
  const people = answer !== null && !anonymous && hasPeople(answer);

  function pick(row: Row, mark: Mark | null, at: { x: number; y: number }) {
    if (!answer) return;
    const what: Picked = {
      title: mark ? [mark.name, mark.place].filter(Boolean).join(", ") : "This row",
      said: mark?.said ?? "",
      at,
      people: people
        ? { row, title: mark ? [mark.name, mark.place].filter(Boolean).join(", ") : "People behind the row" }
        : null,
      condition: onFilter ? conditionOf(answer, question, row) : null,
      range: onRange ? rangeBehind(answer, question, row) : null,
      moment: onMark ? momentOf(row) : null,
    };
    if (what.people && !what.condition && !what.range && !what.moment && !mark) setBehind(what.people);
    else setPicked(what);
  }

  return (
    <Box
      component="section"
      aria-busy={fetching}
      pos="relative"
      aria-label={typeof props.title === "string" ? props.title : describe(answer, question)}
    >
      <Head {...props} type={type} />
      <Box pos="relative" mih={height ?? 0}>
        {seconds >= 1 && (
          <Group className={classes.waiting ?? ""} gap="sm" role="status">
            <Loader size={14} aria-hidden />
            <Text size="sm">{seconds < 3 ? "Asking" : `Asking for ${duration(seconds)}`}</Text>
            {onCancel && (
              <Button size="compact-sm" variant="default" onClick={onCancel}>
                Cancel
              </Button>
            )}
          </Group>
        )}
        <Body
          {...props}
          type={type}
          shown={
            answer && (
              <div className={props.old || (fetching && seconds >= 1) ? (classes.old ?? "") : ""}>
                <ChartView
                  answer={answer}
                  question={question}
                  type={type}
                  choice={chart}
                  compact={compact}
                  onPick={pick}
                  {...(height ? { height } : {})}
                  {...(annotations ? { annotations } : {})}
                  {...(onChart
                    ? {
                        onHide: (hidden: string[]) => onChart({ ...chart, hidden }),
                        onTable: () =>
                          onChart({
                            ...chart,
                            type: type === "table" ? (chartsOf(answer, question)[0] ?? "table") : "table",
                          }),
                      }
                    : {})}
                />
              </div>
            )
          }
        />
      </Box>
      {answer && <Foot {...props} answer={answer} />}
      {error !== null && error !== undefined && answer && (
        <Box mt="sm">
          <ErrorNote error={error} {...(onRetry ? { onRetry } : {})} />
        </Box>
      )}
      <PickMenu
        picked={picked}
        onClose={() => setPicked(null)}
        onPeople={setBehind}
        {...(onMark ? { onMark } : {})}
        {...(onFilter ? { onFilter } : {})}
        {...(onRange ? { onRange } : {})}
      />
      {answer && people && (
        <PeopleDrawer project={project} answer={answer} behind={behind} onClose={() => setBehind(null)} />
      )}
    </Box>
  );
}

function Body({
  answer,
  error,
  onRetry,
  cancelled,
  height,
  type,
  shown,
}: PanelProps & { type: ChartType; shown: ReactNode }) {
  if (answer) {
    return answer.rows.length ? (
      shown
    ) : (
      <Empty title="No rows">Nothing in this range fits the question. Widen the range, or take filters away.</Empty>
    );
  }
  if (error) return <ErrorNote error={error} {...(onRetry ? { onRetry } : {})} />;
  if (cancelled) {
    return (
      <Empty
        title="Cancelled"
        action={
          onRetry && (
            <Button variant="default" onClick={onRetry}>
              Ask again
            </Button>
          )
        }
      >
        The question was stopped before it was answered.
      </Empty>
    );
  }
  return <Waiting type={type} height={height ?? 240} />;
}

/** In the shape of what comes. */
function Waiting({ type, height }: { type: ChartType; height: number }) {
  if (type === "number") return <Skeleton height={72} width={160} role="status" aria-label="Loading" />;
  if (type === "table" || type === "retention") return <RowsSkeleton rows={Math.max(3, Math.floor(height / 30))} />;
  return <Skeleton height={height} role="status" aria-label="Loading" />;
}

function Head(props: PanelProps & { type: ChartType }) {
  const { answer, question, title, actions, compact } = props;
  const said = title === undefined ? describe(answer, question) : title;
  if (said === null && compact && !actions) return null;
  return (
    <Group justify="space-between" align="flex-start" wrap={compact ? "nowrap" : "wrap"} gap="sm" mb="sm">
      <Title
        order={2}
        fz={compact ? 14 : 16}
        lh={compact ? "20px" : "24px"}
        style={{ flex: "1 1 240px", minWidth: 0, overflowWrap: "anywhere" }}
        {...(compact ? { lineClamp: 2 } : {})}
      >
        {said}
      </Title>
      <Group gap={4} wrap="nowrap">
        {!compact && <Controls {...props} />}
        {actions}
      </Group>
    </Group>
  );
}

function Controls({ project, question, answer, chart = NO_CHART, onChart, type }: PanelProps & { type: ChartType }) {
  if (!answer) return null;
  const types = chartsOf(answer, question);
  const measures = measuresFor(answer, question);
  const charts = types.filter((one) => one !== "table");
  const drawn = type === "table" ? charts[0] : type;
  const Icon = ICONS[drawn ?? "table"];
  return (
    <>
      {onChart && measures.length > 0 && (
        <Select
          size="xs"
          aria-label="Measure"
          w={160}
          allowDeselect={false}
          data={measures.map((one) => ({ value: one.name, label: one.label }))}
          value={
            measures.some((one) => one.name === chart.measure) ? (chart.measure ?? null) : (measures[0]?.name ?? null)
          }
          onChange={(measure) => measure && onChart({ ...chart, measure })}
        />
      )}
      {onChart && drawn && (
        <SegmentedControl
          size="xs"
          aria-label="Chart or table"
          value={type === "table" ? "table" : "chart"}
          onChange={(value) => onChart({ ...chart, type: value === "table" ? "table" : drawn })}
          data={[
            { value: "chart", label: <Labelled icon={<Icon size={16} aria-hidden />} label="Chart" /> },
            { value: "table", label: <Labelled icon={<IconTable size={16} aria-hidden />} label="Table" /> },
          ]}
        />
      )}
      {onChart && charts.length > 1 && (
        <TypeMenu types={charts} type={type} onChange={(next) => onChart({ ...chart, type: next })} />
      )}
      <ExportMenu project={project} question={question} answer={answer} choice={{ ...chart, type }} />
    </>
  );
}

function Labelled({ icon, label }: { icon: ReactNode; label: string }) {
  return (
    <Group gap={4} wrap="nowrap">
      {icon}
      <span>{label}</span>
    </Group>
  );
}

function TypeMenu({
  types,
  type,
  onChange,
}: {
  types: ChartType[];
  type: ChartType;
  onChange: (type: ChartType) => void;
}) {
  return (
    <Menu position="bottom-end" width={180}>
      <Menu.Target>
        <Tooltip label="Kind of chart">
          <ActionIcon variant="subtle" color="gray" size={32} aria-label="Kind of chart">
            <IconDots size={18} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        {types.map((one) => {
          const Icon = ICONS[one];
          return (
            <Menu.Item
              key={one}
              leftSection={<Icon size={16} />}
              rightSection={one === type ? <IconCheck size={16} /> : null}
              onClick={() => onChange(one)}
            >
              {LABELS[one]}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}

function Foot({ answer, cameAt, live = false, liveError, compact }: PanelProps & { answer: Answer }) {
  const notes = (answer.receipt.notes ?? []) as string[];
  return (
    <Box mt={4}>
      {!compact && notes.length > 0 && (
        <Text size="xs" c="dimmed">
          {notes.join(" ")}
        </Text>
      )}
      {liveError && (
        <Text size="xs" c="dimmed" role="status">
          Not live: {liveError}
        </Text>
      )}
      <ReceiptLine answer={answer} cameAt={cameAt} live={live} />
    </Box>
  );
}
