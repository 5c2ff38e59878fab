/** The lists of Home: sources, pages, devices, events and goals. Each asks for the way only in which it is shown. */

import { Group, Text } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import { useAnswer } from "../../api/ask";
import { useDefinitions } from "../../api/catalog";
import type { Answer, Condition, Question, Row } from "../../api/types";
import { change, MISSING, short } from "../../format";
import { AllRows } from "./all-rows";
import classes from "./home.module.css";
import * as ask from "./questions";
import { LINES, ListCard, RankedList, type Tab } from "./ranked";
import { beside, byPage, byValue, type Ranked } from "./rows";

export interface ListOf {
  project: string;
  view: ask.View;
  /** People of the whole range, for shares. */
  people: number | undefined;
  /** The answer that they are of, for its range. */
  totals: Answer | undefined;
  onPick: (filter: Condition) => void;
}

const ALL = 500;

type Reading = (answer: ReturnType<typeof useAnswer>["data"]) => Ranked[];

/** A card whose tabs are each one question and one way to read it. */
interface Way<T extends string> extends Tab<T> {
  ask: (view: ask.View, limit: number, totals: Answer | undefined) => Question | null;
  read: Reading;
  heads: [string, string] | [string, string, string];
}

function Tabbed<T extends string>({
  title,
  ways,
  empty,
  list,
}: {
  title: string;
  ways: Way<T>[];
  empty: string;
  list: ListOf;
}) {
  const [tab, setTab] = useState(ways[0]?.value as T);
  const [whole, setWhole] = useState(false);
  const way = ways.find(({ value }) => value === tab) as Way<T>;
  const answer = useAnswer(list.project, way.ask(list.view, LINES, list.totals), { refresh: 60_000 });
  const rows = answer.data && way.read(answer.data);
  return (
    <ListCard
      title={title}
      tabs={ways}
      tab={tab}
      onTab={setTab}
      onMore={rows && rows.length >= LINES ? () => setWhole(true) : undefined}
    >
      <RankedList
        rows={rows}
        heads={way.heads}
        of={list.people}
        stale={answer.isPlaceholderData}
        error={answer.error}
        empty={empty}
        onPick={list.onPick}
      />
      {whole && (
        <AllRows
          title={ways.length > 1 ? `${title}: ${way.label.toLowerCase()}` : title}
          project={list.project}
          question={way.ask(list.view, ALL, list.totals)}
          read={way.read}
          heads={way.heads}
          of={list.people}
          onPick={list.onPick}
          onClose={() => setWhole(false)}
        />
      )}
    </ListCard>
  );
}

function bySession(property: string, label: string): Way<string> {
  return {
    value: property,
    label,
    heads: [label, "People"],
    ask: (view, limit) => ask.sessionsBy(property, view, limit),
    read: (answer) => byValue(answer, property, "people"),
  };
}

const SOURCES = [
  bySession("@channel", "Channel"),
  bySession("@referrer_host", "Referrer"),
  bySession("@utm_campaign", "Campaign"),
];

export function Sources(list: ListOf) {
  return <Tabbed title="Sources" ways={SOURCES} empty="No session in this range." list={list} />;
}

const PAGE_LISTS: Way<"pages" | "entry_pages" | "exit_pages">[] = [
  {
    value: "pages",
    label: "Seen",
    heads: ["Page", "People", "Views"],
    ask: (view, limit) => ask.pages("pages", view, limit),
    read: (answer) => byPage(answer, "people", "views"),
  },
  {
    value: "entry_pages",
    label: "Entry",
    heads: ["Page", "People", "Sessions"],
    ask: (view, limit) => ask.pages("entry_pages", view, limit),
    read: (answer) => byPage(answer, "people", "sessions"),
  },
  {
    value: "exit_pages",
    label: "Exit",
    heads: ["Page", "People", "Sessions"],
    ask: (view, limit) => ask.pages("exit_pages", view, limit),
    read: (answer) => byPage(answer, "people", "sessions"),
  },
];

export function Pages(list: ListOf) {
  return <Tabbed title="Pages" ways={PAGE_LISTS} empty="No page was seen in this range." list={list} />;
}

function byPeople(property: string, label: string): Way<string> {
  return {
    value: property,
    label,
    heads: [label, "People"],
    ask: (view, limit) => ask.peopleBy(property, view, limit),
    read: (answer) => byValue(answer, property, "value"),
  };
}

const DEVICES = [byPeople("@browser", "Browser"), byPeople("@os", "System"), byPeople("@device", "Device")];

export function Devices(list: ListOf) {
  return <Tabbed title="Devices" ways={DEVICES} empty="No event of this range says what it came from." list={list} />;
}

const EVENTS: Way<string>[] = [
  {
    value: "events",
    label: "Events",
    heads: ["Event", "People", "Times"],
    ask: (view, limit, totals) => ask.events(view, totals, limit),
    read: (answer) =>
      beside(
        byValue(answer, "@event", "value", { series: "People" }),
        byValue(answer, "@event", "value", { series: "Events" }),
      ),
  },
];

export function Events(list: ListOf) {
  return <Tabbed title="Events" ways={EVENTS} empty="No event in this range." list={list} />;
}

/** Saved metrics with their change; one of events filters by those who did it. */
export function Goals({ project, view, totals, onPick }: ListOf) {
  const metrics = useDefinitions(project, "metric");
  const names = metrics.data?.map(({ name }) => name) ?? [];
  const question = ask.goals(names, view, totals);
  const answer = useAnswer(project, question, { refresh: 60_000 });
  const all = <Link to="../data/metrics">All metrics</Link>;
  if (metrics.data && names.length === 0)
    return (
      <ListCard title="Goals">
        <Text c="dimmed" py="xl" ta="center" px="md">
          Save what you want to reach as a metric, such as orders or revenue, and it stands here with its change.{" "}
          <Link to="../data/metrics">Metrics</Link>
        </Text>
      </ListCard>
    );
  const bodies = new Map(metrics.data?.map(({ name, body }) => [name, body as Row]));
  return (
    <ListCard title="Goals" aside={all}>
      {metrics.error || answer.error || !answer.data ? (
        <RankedList
          rows={undefined}
          heads={["Metric", "Value"]}
          error={metrics.error ?? answer.error}
          empty=""
          onPick={onPick}
        />
      ) : (
        <GoalRows rows={answer.data.rows as Row[]} bodies={bodies} stale={answer.isPlaceholderData} onPick={onPick} />
      )}
    </ListCard>
  );
}

function GoalRows({
  rows,
  bodies,
  stale,
  onPick,
}: {
  rows: Row[];
  bodies: Map<string, Row>;
  stale: boolean;
  onPick: (filter: Condition) => void;
}) {
  return (
    <Group
      component="ul"
      gap={0}
      m={0}
      p={0}
      style={{ listStyle: "none", flexDirection: "column", alignItems: "stretch", opacity: stale ? 0.6 : 1 }}
    >
      {rows.slice(0, LINES).map((row) => (
        <Goal key={String(row.series)} row={row} body={bodies.get(String(row.series)) ?? {}} onPick={onPick} />
      ))}
    </Group>
  );
}

function Goal({ row, body, onPick }: { row: Row; body: Row; onPick: (filter: Condition) => void }) {
  const name = String(row.series);
  const value = row.value as number | null;
  const previous = row.previous as number | null;
  const said = change(value, previous);
  const up = body.direction !== "down";
  const better = value !== null && previous !== null && (up ? value > previous : value < previous);
  const filter = ask.didOf(name, body);
  return (
    <Group
      component="li"
      justify="space-between"
      wrap="nowrap"
      gap="sm"
      mih={36}
      px="sm"
      style={{ borderBottom: "1px solid var(--line)" }}
    >
      {filter ? (
        <Text
          component="button"
          type="button"
          className={classes.plain ?? ""}
          truncate
          title={`Only people who did ${name}`}
          onClick={() => onPick(filter)}
          dir="auto"
        >
          {name}
        </Text>
      ) : (
        <Text truncate title={name} dir="auto">
          {name}
        </Text>
      )}
      <Group gap="sm" wrap="nowrap">
        {said !== MISSING && (
          <Text size="sm" className="number" c={value === previous ? "dimmed" : better ? "var(--good)" : "var(--bad)"}>
            {value === previous ? "" : (value ?? 0) > (previous ?? 0) ? "↑ " : "↓ "}
            {said}
          </Text>
        )}
        <Text fw={500} className="number" title={String(value ?? "")}>
          {short(value)}{" "}
          {body.unit ? (
            <Text span c="dimmed" size="sm">
              {String(body.unit)}
            </Text>
          ) : null}
        </Text>
      </Group>
    </Group>
  );
}
