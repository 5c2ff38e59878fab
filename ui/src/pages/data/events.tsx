import { Button, Group, Paper, Select, Text, UnstyledButton } from "@mantine/core";
import { IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "react-router";
import { useEventNames } from "../../api/catalog";
import { call, projectPath } from "../../api/client";
import { useLiveEvents, useLiveState } from "../../api/live";
import type { Row } from "../../api/types";
import { EventDrawer } from "../../components/event-drawer";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { VirtualList } from "../../components/virtual-list";
import { moment, whole } from "../../format";
import { useProject, useUrlValue } from "../../state/url";
import { hintOf } from "../people/timeline";
import classes from "./data.module.css";
import { latestOf } from "./latest";

const MOST = 1000;

/** The latest events as they come in. */
export function EventsTab() {
  const project = useProject();
  const [event, setEvent] = useUrlValue("event", "");
  const [paused, setPaused] = useState(false);
  const [shown, setShown] = useState<Row | null>(null);
  const state = useLiveState();
  const names = useEventNames(project.id);
  const stored = useQuery({
    queryKey: ["events", project.id, event],
    queryFn: () => call<Row[]>(projectPath(project.id, "events"), { query: { limit: 200, event } }),
  });
  const live = useLiveEvents(project.id, !paused, event, MOST);
  const events = useMemo(() => latestOf(live.events, stored.data ?? [], MOST), [live.events, stored.data]);
  const words = paused ? "Paused" : state === "open" ? "Live" : "Connecting";
  return (
    <>
      <Group justify="space-between" mb="md" gap="sm">
        <Select
          aria-label="Only events of this name"
          placeholder="All events"
          data={names.data?.slice(0, 1000).map((one) => one.event) ?? []}
          value={event || null}
          onChange={(next) => setEvent(next ?? "")}
          searchable
          clearable
          w={280}
          nothingFoundMessage="No such event"
        />
        <Group gap="sm">
          <Text size="sm" c="dimmed" role="status">
            {words}
            {live.skipped > 0 && !paused ? "; more come than are shown" : ""}
          </Text>
          <Button
            variant="default"
            onClick={() => setPaused(!paused)}
            leftSection={paused ? <IconPlayerPlay size={16} aria-hidden /> : <IconPlayerPause size={16} aria-hidden />}
          >
            {paused ? "Go on" : "Pause"}
          </Button>
        </Group>
      </Group>
      {stored.error ? (
        <ErrorNote error={stored.error} onRetry={() => void stored.refetch()} />
      ) : stored.isPending ? (
        <RowsSkeleton rows={12} />
      ) : events.length === 0 ? (
        <Empty
          title={event ? `No event ${event}` : "No event has arrived yet"}
          action={
            <Button component={Link} to="../start">
              Send an event
            </Button>
          }
        >
          It appears here within a second of its arrival.
        </Empty>
      ) : (
        <Paper bg="var(--surface)" style={{ overflow: "hidden" }}>
          <div className={`${classes.heads} ${classes.events}`} aria-hidden>
            <span>Received</span>
            <span>Event</span>
            <span className={classes.wide}>By</span>
            <span className={classes.wide}>About</span>
          </div>
          <VirtualList
            items={events}
            label="Latest events"
            rowHeight={40}
            height="calc(100vh - 320px)"
            keyOf={(one) => String(one.event_id)}
          >
            {(one) => <EventLine event={one} zone={project.zone} onShow={setShown} />}
          </VirtualList>
        </Paper>
      )}
      {events.length > 0 && (
        <Text size="sm" c="dimmed" mt="sm">
          The latest {whole(events.length)}, by their arrival. For older ones look at a person, or ask in Explore.
        </Text>
      )}
      <EventDrawer event={shown} onClose={() => setShown(null)} />
    </>
  );
}

function EventLine({ event, zone, onShow }: { event: Row; zone: string; onShow: (event: Row) => void }) {
  const at = String(event.time_received);
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;
  const hint = hintOf(event);
  return (
    <UnstyledButton className={`${classes.line} ${classes.events}`} onClick={() => onShow(event)}>
      <Text size="sm" className="number" title={moment(at, zone, { second: "2-digit" })} truncate>
        <span className={classes.wide}>
          {moment(at, zone, { day: "numeric", month: "short", year: undefined, hour: undefined, minute: undefined })},{" "}
        </span>
        {moment(at, zone, { day: undefined, month: undefined, year: undefined, ...clock })}
      </Text>
      <Text fw={500} truncate title={String(event.event)} dir="auto">
        {String(event.event)}
      </Text>
      <Text size="sm" truncate className={classes.wide ?? ""} title={String(event.distinct_id)} dir="auto">
        {String(event.distinct_id)}
      </Text>
      <Text size="sm" c="dimmed" truncate className={classes.wide ?? ""} title={hint} dir="auto">
        {hint}
      </Text>
    </UnstyledButton>
  );
}
