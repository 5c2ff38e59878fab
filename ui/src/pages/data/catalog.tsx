import { Group, Paper, SegmentedControl, Select, Text, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import { Link } from "react-router";
import { useEventNames, useProperties } from "../../api/catalog";
import type { EventName, Property } from "../../api/types";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { VirtualList } from "../../components/virtual-list";
import { ago, moment, short, whole } from "../../format";
import { useProject, useUrlValue } from "../../state/url";
import classes from "./data.module.css";
import { type PropertyOfAll, propertiesOf } from "./types";

const HEIGHT = "calc(100vh - 340px)";

/** Every event name and property that was ever seen. */
export function CatalogTab() {
  const [of, setOf] = useUrlValue("of", "events");
  const [search, setSearch] = useState("");
  const wanted = search.trim().toLowerCase();
  return (
    <>
      <Group mb="md" gap="sm">
        <SegmentedControl
          aria-label="What to list"
          data={[
            { value: "events", label: "Events" },
            { value: "properties", label: "Properties" },
          ]}
          value={of}
          onChange={(next) => setOf(next)}
        />
        <TextInput
          aria-label="Search by name"
          placeholder="Search by name"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
          w={280}
        />
        {of === "properties" && <OfEvent />}
      </Group>
      {of === "properties" ? <Properties wanted={wanted} /> : <Names wanted={wanted} />}
    </>
  );
}

function OfEvent() {
  const { id } = useProject();
  const [event, setEvent] = useUrlValue("event", "");
  const names = useEventNames(id);
  return (
    <Select
      aria-label="Only properties of this event"
      placeholder="Of all events"
      data={names.data?.slice(0, 1000).map((one) => one.event) ?? []}
      value={event || null}
      onChange={(next) => setEvent(next ?? "")}
      searchable
      clearable
      w={240}
    />
  );
}

const NOTHING = (
  <Empty title="Nothing was seen yet">
    Names and properties stand here as soon as an event brings them. They need no declaration.
  </Empty>
);

function Names({ wanted }: { wanted: string }) {
  const { id, zone } = useProject();
  const names = useEventNames(id);
  if (names.error) return <ErrorNote error={names.error} onRetry={() => void names.refetch()} />;
  if (!names.data) return <RowsSkeleton rows={12} />;
  if (names.data.length === 0) return NOTHING;
  const shown = names.data.filter(({ event }) => event.toLowerCase().includes(wanted));
  return (
    <Listed count={shown.length} what="event name">
      <div className={`${classes.heads} ${classes.names}`} aria-hidden>
        <span>Event</span>
        <span className={classes.right}>Times</span>
        <span className={classes.wide}>First seen</span>
        <span className={classes.wide}>Last seen</span>
      </div>
      <VirtualList items={shown} label="Event names" rowHeight={40} height={HEIGHT} keyOf={({ event }) => event}>
        {(name) => <NameLine name={name} zone={zone} />}
      </VirtualList>
    </Listed>
  );
}

function NameLine({ name, zone }: { name: EventName; zone: string }) {
  return (
    <div className={`${classes.line} ${classes.names}`}>
      <Text truncate dir="auto" title={name.event}>
        <Link to={`?of=properties&event=${encodeURIComponent(name.event)}`}>{name.event}</Link>
      </Text>
      <Text className={`number ${classes.right}`} title={whole(name.count)}>
        {short(name.count)}
      </Text>
      <Text size="sm" className={`number ${classes.wide}`}>
        {moment(name.first_seen, zone)}
      </Text>
      <Text size="sm" className={classes.wide ?? ""} title={moment(name.last_seen, zone)}>
        {ago(name.last_seen)}
      </Text>
    </div>
  );
}

function Properties({ wanted }: { wanted: string }) {
  const { id, zone } = useProject();
  const [event] = useUrlValue("event", "");
  const properties = useProperties(id, event);
  if (properties.error) return <ErrorNote error={properties.error} onRetry={() => void properties.refetch()} />;
  if (!properties.data) return <RowsSkeleton rows={12} />;
  if (properties.data.length === 0)
    return event ? (
      <Empty title={`${event} came without properties`}>Choose another event, or all of them.</Empty>
    ) : (
      NOTHING
    );
  const shown = propertiesOf(properties.data as Property[]).filter(({ property }) =>
    property.toLowerCase().includes(wanted),
  );
  return (
    <Listed count={shown.length} what="property">
      <div className={`${classes.heads} ${classes.properties}`} aria-hidden>
        <span>Property</span>
        <span>Types</span>
        <span className={classes.wide}>Events</span>
        <span className={classes.wide}>Last seen</span>
      </div>
      <VirtualList items={shown} label="Properties" rowHeight={40} height={HEIGHT} keyOf={({ property }) => property}>
        {(property) => <PropertyLine property={property} zone={zone} />}
      </VirtualList>
    </Listed>
  );
}

function PropertyLine({ property, zone }: { property: PropertyOfAll; zone: string }) {
  const events = property.events.join(", ");
  return (
    <div className={`${classes.line} ${classes.properties}`}>
      <Text truncate dir="auto" title={property.property}>
        {property.property}
      </Text>
      <Text
        size="sm"
        truncate
        c={property.types.length > 1 ? "var(--warn)" : "inherit"}
        title={
          property.types.length > 1 ? `It comes in several types: ${property.types.join(", ")}` : property.types[0]
        }
      >
        {property.types.join(", ")}
      </Text>
      <Text size="sm" c="dimmed" truncate className={classes.wide ?? ""} title={events} dir="auto">
        {events}
      </Text>
      <Text size="sm" className={classes.wide ?? ""} title={moment(property.last_seen, zone)}>
        {ago(property.last_seen)}
      </Text>
    </div>
  );
}

function Listed({ count, what, children }: { count: number; what: string; children: React.ReactNode }) {
  const words = count === 1 ? what : what.endsWith("y") ? `${what.slice(0, -1)}ies` : `${what}s`;
  return (
    <>
      <Paper bg="var(--surface)" style={{ overflow: "hidden" }}>
        {children}
      </Paper>
      <Text size="sm" c="dimmed" mt="sm" role="status">
        {count === 0 ? `No ${what} holds that text.` : `${whole(count)} ${words}.`}
      </Text>
    </>
  );
}
