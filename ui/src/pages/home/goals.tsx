import { Group, Text } from "@mantine/core";
import { Link } from "react-router";
import { useAnswer } from "../../api/ask";
import { useDefinitions } from "../../api/catalog";
import type { Condition, Row } from "../../api/types";
import { withinNoise } from "../../charts/units";
import { change, MISSING, short, whole } from "../../format";
import classes from "./home.module.css";
import type { ListOf } from "./lists";
import * as ask from "./questions";
import { LINES, ListCard, RankedList } from "./ranked";

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
    <ul className={classes.goals} style={{ opacity: stale ? 0.6 : 1 }}>
      {rows.slice(0, LINES).map((row) => (
        <Goal key={String(row.series)} row={row} body={bodies.get(String(row.series)) ?? {}} onPick={onPick} />
      ))}
    </ul>
  );
}

function Goal({ row, body, onPick }: { row: Row; body: Row; onPick: (filter: Condition) => void }) {
  const name = String(row.series);
  const value = row.value as number | null;
  const previous = row.previous as number | null;
  const said = change(value, previous);
  const up = body.direction !== "down";
  const better = value !== null && previous !== null && (up ? value > previous : value < previous);
  const counted = !body.formula && ["count", "unique"].includes(String(body.measure ?? "count"));
  const noise = value === previous || (counted && withinNoise(value ?? 0, previous ?? 0, "count"));
  const filter = ask.didOf(name, body);
  return (
    <li className={classes.goal}>
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
      <Group gap="sm" wrap="nowrap" style={{ flexShrink: 0 }}>
        {said !== MISSING && (
          <Text size="sm" className="number" c={noise ? "dimmed" : better ? "var(--good)" : "var(--bad)"}>
            {value === previous ? "" : (value ?? 0) > (previous ?? 0) ? "↑ " : "↓ "}
            {said}
          </Text>
        )}
        <Text fw={500} className="number" title={whole(value)}>
          {short(value)}{" "}
          {body.unit ? (
            <Text span c="dimmed" size="sm">
              {String(body.unit)}
            </Text>
          ) : null}
        </Text>
      </Group>
    </li>
  );
}
