/** Ctrl-K: any page, board, question, metric, segment, event or person. */

import { Spotlight, type SpotlightActionData, type SpotlightActionGroupData, spotlight } from "@mantine/spotlight";
import { IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import { useNavigate } from "react-router";
import { type DefinitionKind, useDefinitions, useEventNames } from "../api/catalog";
import { useProject } from "../state/url";
import { PLACES } from "./frame";

export const openSearch = (): void => spotlight.open();

export function Search() {
  const [query, setQuery] = useState("");
  return (
    <Spotlight.Root
      query={query}
      onQueryChange={setQuery}
      shortcut={["mod + K"]}
      scrollable
      maxHeight={480}
      clearQueryOnClose
    >
      <Spotlight.Search
        placeholder="A page, board, question, metric, event or person"
        leftSection={<IconSearch size={18} stroke={1.6} />}
      />
      <Found query={query} />
    </Spotlight.Root>
  );
}

/** Mounted while the search is open only, so that a page that nobody searches asks for none of these lists. */
function Found({ query }: { query: string }) {
  const { id } = useProject();
  const go = useNavigate();
  const boards = useDefinitions(id, "board").data ?? [];
  const questions = useDefinitions(id, "question").data ?? [];
  const metrics = useDefinitions(id, "metric").data ?? [];
  const segments = useDefinitions(id, "segment").data ?? [];
  const events = useEventNames(id).data ?? [];
  const to = (path: string) => () => go(`/p/${encodeURIComponent(id)}/${path}`);
  const named = (kind: DefinitionKind, names: string[], path: (name: string) => string): SpotlightActionData[] =>
    names.map((name) => ({
      id: `${kind} ${name}`,
      label: name,
      description: kind,
      onClick: to(path(encodeURIComponent(name))),
    }));
  const all: SpotlightActionGroupData[] = [
    { group: "Pages", actions: PLACES.map((place) => ({ id: place.to, label: place.label, onClick: to(place.to) })) },
    {
      group: "Boards",
      actions: named(
        "board",
        boards.map((one) => one.name),
        (name) => `boards/${name}`,
      ),
    },
    {
      group: "Questions",
      actions: named(
        "question",
        questions.map((one) => one.name),
        (name) => `explore?saved=${name}`,
      ),
    },
    {
      group: "Metrics",
      actions: named(
        "metric",
        metrics.map((one) => one.name),
        (name) => `data/metrics?name=${name}`,
      ),
    },
    {
      group: "Segments",
      actions: named(
        "segment",
        segments.map((one) => one.name),
        (name) => `data/segments?name=${name}`,
      ),
    },
    {
      group: "Events",
      actions: events.slice(0, 500).map(({ event }) => ({
        id: `event ${event}`,
        label: event,
        description: "event",
        onClick: to(`data/events?event=${encodeURIComponent(event)}`),
      })),
    },
  ];
  const wanted = query.trim().toLowerCase();
  const found = all
    .map(({ group, actions }) => ({
      group,
      actions: actions.filter((action) => String(action.label).toLowerCase().includes(wanted)).slice(0, 7),
    }))
    .filter(({ actions }) => actions.length > 0);
  return (
    <Spotlight.ActionsList>
      {found.map(({ group, actions }) => (
        <Spotlight.ActionsGroup key={group} label={group}>
          {actions.map(({ id: key, ...action }) => (
            <Spotlight.Action key={key} {...action} />
          ))}
        </Spotlight.ActionsGroup>
      ))}
      {wanted && (
        <Spotlight.ActionsGroup label="People">
          <Spotlight.Action
            label={`People like “${query.trim()}”`}
            onClick={to(`people?search=${encodeURIComponent(query.trim())}`)}
          />
        </Spotlight.ActionsGroup>
      )}
    </Spotlight.ActionsList>
  );
}
