/** The lists of Home: sources, pages, devices and events. Each asks for the way only in which it is shown. */

import { useState } from "react";
import { useAnswer } from "../../api/ask";
import type { Answer, Condition, Question } from "../../api/types";
import { AllRows } from "./all-rows";
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
