import { Group, Select, Text } from "@mantine/core";
import { lazy, memo, Suspense } from "react";
import { usePropertyValues } from "../../api/catalog";
import { useLiveEvents } from "../../api/live";
import type { Condition, Question } from "../../api/types";
import { AnswerView } from "../../components/answer-view";
import { RowsSkeleton } from "../../components/states";
import { ago } from "../../format";
import classes from "./boards.module.css";
import { GAP, ROW, type Tile } from "./model";

const Markdown = lazy(() => import("./markdown"));

interface Props {
  project: string;
  tile: Tile;
  board: string;
  /** What it asks, with the board's range and filters; null for tiles without a question. */
  question: Question | null;
  /** Why there is no question, where there should be one. */
  missing?: string;
  filters: Condition[];
  live: boolean;
  refresh: number;
  onFilter: (condition: Condition) => void;
  onUnfilter: (property: string) => void;
  onRange: (range: { date_from: string; date_to: string }) => void;
}

/** What a tile shows below its title. Kept as it is while nothing of it changes: dragging asks nothing again. */
export const TileBody = memo(function TileBody(props: Props) {
  const { project, tile, question, missing } = props;
  switch (tile.type) {
    case "question":
    case "number":
      if (missing) return <Text c="dimmed">{missing}</Text>;
      if (!question) return <RowsSkeleton rows={3} />;
      return (
        <AnswerView
          project={project}
          question={question}
          chart={{ ...tile.chart, ...(tile.type === "number" ? { type: "number" as const } : {}) }}
          height={Math.max(120, tile.h * (ROW + GAP) - GAP - 92)}
          title={null}
          compact
          board={props.board}
          live={props.live}
          {...(props.refresh ? { refresh: props.refresh * 1000 } : {})}
          onFilter={props.onFilter}
          onRange={props.onRange}
        />
      );
    case "text":
      return (
        <Suspense fallback={<RowsSkeleton rows={2} />}>
          <Markdown text={tile.text ?? ""} />
        </Suspense>
      );
    case "image":
      return tile.image ? (
        <img className={classes.image} src={tile.image} alt={tile.title ?? ""} />
      ) : (
        <Text c="dimmed">No image is chosen.</Text>
      );
    case "filter":
      return <FilterTile {...props} />;
    case "feed":
      return <FeedTile project={project} event={tile.event ?? ""} />;
  }
});

/** A property by whose values the whole board is filtered. */
function FilterTile({ project, tile, filters, onFilter, onUnfilter }: Props) {
  const property = tile.property ?? "";
  const own =
    tile.of && tile.of !== "event" ? { of: tile.of, ...(tile.group_type ? { group_type: tile.group_type } : {}) } : {};
  const values = usePropertyValues(project, "of" in own ? "" : property);
  const chosen = filters.find((one) => one.property === property);
  const now = chosen?.value === undefined ? null : String(chosen.value);
  const data = [...new Set([...(values.data ?? []).map((one) => String(one.value)), ...(now ? [now] : [])])].filter(
    Boolean,
  );
  return (
    <Select
      aria-label={`Filter by ${property}`}
      placeholder="All"
      data={data}
      value={now}
      onChange={(value) => (value === null ? onUnfilter(property) : onFilter({ property, value, ...own }))}
      clearable
      searchable
    />
  );
}

/** The latest events, as they come in. */
function FeedTile({ project, event }: { project: string; event: string }) {
  const { events } = useLiveEvents(project, true, event, 50);
  if (events.length === 0)
    return (
      <Text c="dimmed" role="status">
        Waiting for an event.
      </Text>
    );
  return (
    <table className={classes.feed}>
      <tbody>
        {events.map((one) => (
          <tr key={String(one.id)}>
            <td>{String(one.event)}</td>
            <td>{String(one.distinct_id ?? "")}</td>
            <td>
              <Group justify="flex-end" c="dimmed">
                {ago(String(one.time_received ?? one.time))}
              </Group>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
