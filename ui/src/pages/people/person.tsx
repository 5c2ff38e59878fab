import { Anchor, Button, Group, Paper, Select, Stack, Text, Title, UnstyledButton } from "@mantine/core";
import { useState } from "react";
import { Link, useParams } from "react-router";
import { useEventNames } from "../../api/catalog";
import { ApiError } from "../../api/errors";
import { calledBy, usePerson } from "../../api/people";
import type { Person, Row } from "../../api/types";
import { EventDrawer, FieldTable } from "../../components/event-drawer";
import { Empty, ErrorNote, PageHead, RowsSkeleton } from "../../components/states";
import { ago, duration, moment, whole } from "../../format";
import { useProject, useUrlValue } from "../../state/url";
import { Merges } from "./merges";
import classes from "./people.module.css";
import { hintOf, lengthOf, type Visit, visitsOf } from "./timeline";

/** One person: who it is, which ids it has, and everything it did. */
export function Component() {
  const { person: id = "" } = useParams();
  const project = useProject();
  const [event, setEvent] = useUrlValue("event", "");
  const found = usePerson(project.id, id, event);
  const person = found.data?.pages[0];
  if (found.error instanceof ApiError && found.error.code === "not_found")
    return (
      <Empty
        title="Nobody used this id"
        action={
          <Button component={Link} to="../people" variant="default">
            All people
          </Button>
        }
      >
        {id}: ids are compared to the letter.
      </Empty>
    );
  if (found.error) return <ErrorNote error={found.error} onRetry={() => void found.refetch()} />;
  if (!person) return <RowsSkeleton rows={12} />;
  const name = calledBy(person);
  const events = found.data?.pages.flatMap((page) => page.events as Row[]) ?? [];
  return (
    <>
      <Anchor component={Link} to="../people" size="sm">
        People
      </Anchor>
      <PageHead title={name} about={name === id ? undefined : id} />
      <div className={classes.columns}>
        <Stack gap="md">
          <Facts person={person} />
          <Properties person={person} />
          <Ids person={person} />
          <Merges person={person} />
        </Stack>
        <Stack gap="md">
          <Group justify="space-between">
            <Title order={2}>Timeline</Title>
            <ByEvent value={event} onChange={setEvent} />
          </Group>
          {events.length === 0 ? (
            <Empty title={event ? `No event ${event}` : "No event"}>
              {event ? "This person never did it." : "This id is only named in merges or properties."}
            </Empty>
          ) : (
            <Timeline events={events} complete={!found.hasNextPage} marked={event === ""} />
          )}
          {found.hasNextPage && (
            <Button
              variant="default"
              onClick={() => void found.fetchNextPage()}
              loading={found.isFetchingNextPage}
              style={{ alignSelf: "center" }}
            >
              Show earlier events
            </Button>
          )}
        </Stack>
      </div>
    </>
  );
}

function ByEvent({ value, onChange }: { value: string; onChange: (event: string) => void }) {
  const { id } = useProject();
  const names = useEventNames(id);
  return (
    <Select
      aria-label="Only events of this name"
      placeholder="All events"
      data={names.data?.slice(0, 500).map(({ event }) => event) ?? []}
      value={value || null}
      onChange={(event) => onChange(event ?? "")}
      searchable
      clearable
      w={240}
      nothingFoundMessage="No such event"
    />
  );
}

function Card({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <Paper component="section" aria-label={title} p="md" bg="var(--surface)">
      <Title order={3} mb="sm">
        {title}
      </Title>
      {children}
    </Paper>
  );
}

function Facts({ person }: { person: Person }) {
  const { zone } = useProject();
  const seen = (at: string | null | undefined) => {
    if (!at) return "never by an event";
    const back = ago(at);
    return back.endsWith("ago") ? `${moment(at, zone)}, ${back}` : moment(at, zone);
  };
  return (
    <Card title="In short">
      <FieldTable
        fields={[
          ["Events", whole(person.event_count)],
          ["First seen", seen(person.first_seen)],
          ["Last seen", seen(person.last_seen)],
        ]}
      />
    </Card>
  );
}

function Properties({ person }: { person: Person }) {
  const fields = Object.entries(person.properties as Row);
  return (
    <Card title="Properties">
      {fields.length === 0 ? (
        <Text c="dimmed">None. They come with identify calls and profiles.</Text>
      ) : (
        <FieldTable fields={fields} />
      )}
    </Card>
  );
}

const FEW = 10;

function Ids({ person }: { person: Person }) {
  const [all, setAll] = useState(false);
  const shown = all ? person.ids : person.ids.slice(0, FEW);
  return (
    <Card title={person.ids.length === 1 ? "Id" : `${whole(person.ids.length)} ids`}>
      <Stack gap={4} ff="monospace" fz="sm" style={{ overflowWrap: "anywhere" }}>
        {shown.map((one) => (
          <span key={one}>{one}</span>
        ))}
      </Stack>
      {person.ids.length > FEW && (
        <Button variant="subtle" color="gray" size="xs" mt="sm" onClick={() => setAll(!all)}>
          {all ? "Show fewer" : "Show all"}
        </Button>
      )}
    </Card>
  );
}

function Timeline({ events, complete, marked }: { events: Row[]; complete: boolean; marked: boolean }) {
  const { zone } = useProject();
  const [shown, setShown] = useState<Row | null>(null);
  return (
    <>
      {visitsOf(events, zone).map((visit) => (
        <Session key={visit.key} visit={visit} open={!visit.whole && !complete} marked={marked} onShow={setShown} />
      ))}
      <EventDrawer event={shown} onClose={() => setShown(null)} />
    </>
  );
}

function Session({
  visit,
  open,
  marked,
  onShow,
}: {
  visit: Visit;
  open: boolean;
  marked: boolean;
  onShow: (event: Row) => void;
}) {
  const { zone } = useProject();
  const first = visit.events.at(-1) as Row;
  const length = lengthOf(visit);
  const about = [first.channel, first.browser, first.os, first.country].filter(Boolean).join(" · ");
  const clock = (event: Row) =>
    moment(String(event.time), zone, { day: undefined, month: undefined, year: undefined, second: "2-digit" });
  const count = `${visit.events.length}${open ? " or more" : ""} ${visit.events.length === 1 && !open ? "event" : "events"}`;
  return (
    <Paper
      component="section"
      bg="var(--surface)"
      className={classes.session ?? ""}
      aria-label={`Session of ${moment(String(first.time), zone)}`}
    >
      <Group justify="space-between" px="md" py="sm" gap="sm" style={{ borderBottom: "1px solid var(--line)" }}>
        <Text fw={500} className="number">
          {moment(String(first.time), zone, marked ? {} : { hour: undefined, minute: undefined })}
        </Text>
        <Text size="sm" c="dimmed" truncate>
          {[count, marked && length > 0 ? duration(length) : "", about].filter(Boolean).join(" · ")}
        </Text>
      </Group>
      {visit.events.map((event) => (
        <UnstyledButton key={String(event.event_id)} className={classes.event} onClick={() => onShow(event)}>
          <span className={classes.clock}>{clock(event)}</span>
          <span className={classes.cut} style={{ fontWeight: 500, flexShrink: 0, maxWidth: "50%" }} dir="auto">
            {String(event.event)}
          </span>
          <span className={classes.cut} style={{ color: "var(--faint)" }} dir="auto">
            {hintOf(event)}
          </span>
        </UnstyledButton>
      ))}
    </Paper>
  );
}
