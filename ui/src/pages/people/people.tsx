import { Button, Paper, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useCallback, useState } from "react";
import { Link } from "react-router";
import { calledBy, usePeople } from "../../api/people";
import type { KnownPerson, Row } from "../../api/types";
import { personPath } from "../../components/event-drawer";
import { Empty, ErrorNote, PageHead, RowsSkeleton } from "../../components/states";
import { VirtualList } from "../../components/virtual-list";
import { ago, MISSING, moment, short, whole } from "../../format";
import { useProject, useUrlValue } from "../../state/url";
import classes from "./people.module.css";

/** Everybody, the latest first, to be searched by id, email and name. */
export function Component() {
  const project = useProject();
  const [search, setSearch] = useUrlValue("search", "");
  const [typed, setTyped] = useState(search);
  const later = useDebouncedCallback((text: string) => setSearch(text.trim()), 250);
  const people = usePeople(project.id, search);
  const list = people.data?.pages.flatMap((page) => page.people);
  const { fetchNextPage, hasNextPage, isFetchingNextPage } = people;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetchingNextPage]);
  const clear = () => {
    setTyped("");
    setSearch("");
  };
  return (
    <>
      <PageHead title="People" about="Everybody who did something, whoever was seen last first." />
      <TextInput
        aria-label="Search people"
        placeholder="The beginning of an id, or part of an email or name"
        leftSection={<IconSearch size={16} aria-hidden />}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          later(event.currentTarget.value);
        }}
        maw={440}
        mb="md"
      />
      {people.error ? (
        <ErrorNote error={people.error} onRetry={() => void people.refetch()} />
      ) : !list ? (
        <RowsSkeleton rows={12} />
      ) : list.length === 0 ? (
        <NoPeople search={search} onClear={clear} />
      ) : (
        <Paper bg="var(--surface)" style={{ overflow: "hidden" }}>
          <div className={classes.heads} aria-hidden>
            <span>Person</span>
            <span className={classes.wide}>Properties</span>
            <span className={`${classes.right} ${classes.wide}`}>Events</span>
            <span className={classes.wide}>First seen</span>
            <span>Last seen</span>
          </div>
          <VirtualList
            items={list}
            label="People"
            rowHeight={56}
            height="calc(100vh - 280px)"
            keyOf={(person) => person.distinct_id}
            onEnd={more}
          >
            {(person) => <PersonRow person={person} />}
          </VirtualList>
        </Paper>
      )}
      {list && list.length > 0 && (
        <Text size="sm" c="dimmed" mt="sm" role="status">
          {people.isFetchingNextPage
            ? "More are coming."
            : `${whole(list.length)} ${list.length === 1 ? "person" : "people"}${people.hasNextPage ? " so far; scroll for more" : ""}.`}
        </Text>
      )}
    </>
  );
}

function NoPeople({ search, onClear }: { search: string; onClear: () => void }) {
  return search ? (
    <Empty
      title={`Nobody is found by “${search}”`}
      action={
        <Button variant="default" onClick={onClear}>
          Show everybody
        </Button>
      }
    >
      Ids are compared from their beginning, to the letter; emails and names anywhere.
    </Empty>
  ) : (
    <Empty
      title="There is nobody yet"
      action={
        <Button component={Link} to="../start">
          Send the first event
        </Button>
      }
    >
      Whoever an event names stands here, with all ids, properties and everything that was done.
    </Empty>
  );
}

const NAMES = new Set(["name", "$name", "email", "$email"]);

/** Some properties in one line; what the person is called by is left out. */
function inShort(properties: Row): string {
  return Object.entries(properties)
    .filter(([name]) => !NAMES.has(name) || name.endsWith("email"))
    .slice(0, 4)
    .map(([name, value]) => `${name.replace(/^\$/, "")}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" · ");
}

function PersonRow({ person }: { person: KnownPerson }) {
  const project = useProject();
  const name = calledBy(person);
  const properties = inShort(person.properties);
  const when = (at: string | null | undefined) => (at ? moment(at, project.zone) : "");
  return (
    <Link to={personPath(project.id, person.distinct_id)} className={classes.row}>
      <div style={{ minWidth: 0 }}>
        <Text truncate fw={500} title={name} dir="auto">
          {name}
        </Text>
        {(name !== person.distinct_id || person.id_count > 1) && (
          <Text truncate size="sm" c="dimmed" title={person.distinct_id}>
            {name === person.distinct_id ? "" : person.distinct_id}
            {person.id_count > 1 ? `${name === person.distinct_id ? "" : ", "}${person.id_count} ids` : ""}
          </Text>
        )}
      </div>
      <Text truncate size="sm" c="dimmed" className={classes.wide ?? ""} title={properties} dir="auto">
        {properties || MISSING}
      </Text>
      <Text className={`number ${classes.right} ${classes.wide}`} title={whole(person.events)}>
        {short(person.events)}
      </Text>
      <Text size="sm" className={classes.wide ?? ""} title={when(person.first_seen)}>
        {person.first_seen ? ago(person.first_seen) : MISSING}
      </Text>
      <Text size="sm" title={when(person.last_seen)}>
        {person.last_seen ? ago(person.last_seen) : MISSING}
      </Text>
    </Link>
  );
}
