import { Button, Group, Paper, SimpleGrid, Stack, Text } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import { Link } from "react-router";
import { useAnswer } from "../../api/ask";
import { useEventNames } from "../../api/catalog";
import { useLiveAnswer, useLiveState } from "../../api/live";
import type { Answer, Condition, Range, Row } from "../../api/types";
import { FilterChips } from "../../components/filters/filter-chips";
import { Empty, ErrorNote, PageHead, RowsSkeleton } from "../../components/states";
import { ago, moment, whole } from "../../format";
import { useProject, useUrlValue, useView } from "../../state/url";
import { Bar } from "./bar";
import { Countries } from "./countries";
import { Figures, type Shown } from "./figures";
import { Goals } from "./goals";
import classes from "./home.module.css";
import { Devices, Events, type ListOf, Pages, Sources } from "./lists";
import * as ask from "./questions";
import { byEvent } from "./reach";
import { withFilter } from "./rows";
import { Trend } from "./trend";

type Lists = [string, (list: ListOf) => ReactNode][];
const SHARED: Lists = [
  ["countries", Countries],
  ["devices", Devices],
];
const WITH_PAGES: Lists = [["sources", Sources], ["pages", Pages], ...SHARED, ["events", Events], ["goals", Goals]];
const WITHOUT_PAGES: Lists = [["events", Events], ["goals", Goals], ["sources", Sources], ...SHARED];

/** The one clear page of a project. */
export function Component() {
  const project = useProject();
  const names = useEventNames(project.id);
  const { refetch } = names;
  const empty = names.data?.length === 0;
  useEffect(() => {
    if (!empty) return;
    const looking = setInterval(() => void refetch(), 3000);
    return () => clearInterval(looking);
  }, [empty, refetch]);
  if (names.error) return <ErrorNote error={names.error} onRetry={() => void names.refetch()} page />;
  if (!names.data) return <RowsSkeleton />;
  if (empty)
    return (
      <Empty
        title="No event has arrived yet"
        action={
          <Button component={Link} to="../start">
            Send the first event
          </Button>
        }
      >
        Here stand the people who use your product, what they do, and where they come from, as soon as it sends its
        first event.
      </Empty>
    );
  return (
    <Overview
      latest={
        names.data
          .map(({ last_seen }) => last_seen)
          .sort()
          .at(-1) ?? ""
      }
    />
  );
}

function Overview({ latest }: { latest: string }) {
  const project = useProject();
  const { range, setRange, filters, setFilters, compare } = useView();
  const [figure, setFigure] = useUrlValue<ask.Figure>("figure", "people");
  const view: ask.View = { range, filters };
  const sited = useAnswer(project.id, ask.anyPages);
  const totals = useAnswer(project.id, ask.totals(view), { refresh: 60_000 });
  const visits = useAnswer(project.id, ask.visits(view), { refresh: 60_000 });
  const before = useAnswer(project.id, ask.visitsBefore(visits.data, view));
  const hasPages = Boolean(Number((sited.data?.rows as Row[] | undefined)?.[0]?.value ?? 0));
  const people = lineOf(totals.data, "People");
  const events = lineOf(totals.data, "Events");
  const pick = (filter: Condition) => setFilters(withFilter(filters, filter), { push: true });
  const narrow = (to: Range) => setRange(to, { push: true });
  const list = {
    project: project.id,
    view,
    people: people?.value,
    totals: totals.isPlaceholderData ? undefined : totals.data,
    onPick: pick,
  };
  const failed = totals.error ?? visits.error ?? sited.error;
  const partly = byEvent(filters).length > 0;
  const figures = figuresOf(
    hasPages,
    partly,
    totals.data,
    visits.data,
    before.isPlaceholderData ? undefined : before.data,
  );
  const chosen = figures.some((one) => one.figure === figure) ? figure : "people";
  return (
    <>
      <PageHead title={project.name} about={<Now filters={filters} latest={latest} />}>
        <Bar />
      </PageHead>
      <Stack gap="md">
        <FilterChips project={project.id} value={filters} onChange={(left) => setFilters(left, { push: true })} />
        {partly && (
          <Text size="sm" c="dimmed">
            These are the sessions and the people with such an event; whatever else they did counts too.
          </Text>
        )}
        {failed ? (
          <ErrorNote
            error={failed}
            onRetry={() => void Promise.all([totals.refetch(), visits.refetch(), sited.refetch()])}
          />
        ) : (
          <Paper bg="var(--surface)" style={{ overflow: "hidden" }}>
            <Figures
              figures={figures}
              chosen={chosen}
              pending={totals.isPending || visits.isPending || sited.isPending}
              onChoose={setFigure}
            />
            <Group p="md" display="block">
              <Trend project={project.id} figure={chosen} view={view} compare={compare} onNarrow={narrow} />
            </Group>
          </Paper>
        )}
        {events?.value === 0 && !totals.isPlaceholderData ? (
          <Nothing
            filtered={filters.length > 0}
            latest={latest}
            onClear={() => setFilters([], { push: true })}
            onGo={narrow}
          />
        ) : (
          <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
            {(hasPages ? WITH_PAGES : WITHOUT_PAGES).map(([name, List]) => (
              <List key={name} {...list} />
            ))}
          </SimpleGrid>
        )}
      </Stack>
    </>
  );
}

interface Line {
  value: number;
  previous: number | null;
}

function lineOf(answer: Answer | undefined, series: string): Line | undefined {
  return (answer?.rows as Row[] | undefined)?.find((row) => row.series === series) as Line | undefined;
}

function figuresOf(
  hasPages: boolean,
  partly: boolean,
  totals: Answer | undefined,
  visits: Answer | undefined,
  before: Answer | undefined,
): Shown[] {
  const now = (visits?.rows as Row[] | undefined)?.[0] ?? {};
  const then = (before?.rows as Row[] | undefined)?.[0] ?? {};
  const line = (figure: ask.Figure, label: string, series: string): Shown => {
    const found = lineOf(totals, series);
    return { figure, label, now: found?.value, before: found?.previous };
  };
  const visit = (figure: ask.Figure, label: string, measure: string): Shown => ({
    figure,
    label,
    now: now[measure] as number | null | undefined,
    before: then[measure] as number | null | undefined,
  });
  const shown = [line("people", "People", "People"), visit("sessions", "Sessions", "sessions")];
  // Page views and events that pass such a filter themselves would be fewer than those of the sessions beside them.
  if (hasPages) {
    shown.push(
      partly ? visit("pages", "Pages a session", "pages_per_session") : line("views", "Page views", "Page views"),
    );
    shown.push({
      ...visit("bounce", "Bounce rate", "bounce_rate"),
      of: [Number(now.sessions ?? 0), Number(then.sessions ?? 0)],
    });
  } else {
    if (!partly) shown.push(line("events", "Events", "Events"));
    shown.push(visit("depth", "Events a session", "events_per_session"));
  }
  return [...shown, visit("length", "Session length", "average_seconds")];
}

/** How many people are here now, by the live socket. */
function Now({ filters, latest }: { filters: Condition[]; latest: string }) {
  const project = useProject();
  const question = ask.peopleNow(filters);
  const answer = useAnswer(project.id, question);
  const state = useLiveState();
  const fault = useLiveAnswer(project.id, question, true);
  const people = lineOf(answer.data, "People")?.value;
  if (people === undefined) return <Text span>&nbsp;</Text>;
  const off = state !== "open" || Boolean(fault);
  return (
    <Group gap="sm" wrap="nowrap" title="Different people in the last five minutes" role="status">
      <span className={classes.dot} data-off={off || people === 0 || undefined} aria-hidden />
      <Text span className="number">
        {people > 0
          ? `${whole(people)} ${people === 1 ? "person" : "people"} now`
          : `Nobody now; the latest event came ${ago(latest)}`}
      </Text>
    </Group>
  );
}

/** Why all lists would be empty, and the way out. */
function Nothing({
  filtered,
  latest,
  onClear,
  onGo,
}: {
  filtered: boolean;
  latest: string;
  onClear: () => void;
  onGo: (range: Range) => void;
}) {
  const project = useProject();
  const last = new Date(latest);
  const from = new Date(last.getTime() - 29 * 86_400_000);
  const day = (at: Date) => new Intl.DateTimeFormat("en-CA", { timeZone: project.zone }).format(at);
  return filtered ? (
    <Empty title="No event passes these filters" action={<Button onClick={onClear}>Clear the filters</Button>}>
      In this range nothing fits all of them.
    </Empty>
  ) : (
    <Empty
      title="No event in this range"
      action={
        <Button onClick={() => onGo({ date_from: day(from), date_to: day(last) })}>Show the 30 days up to then</Button>
      }
    >
      The latest event is of {moment(latest, project.zone)}.
    </Empty>
  );
}
