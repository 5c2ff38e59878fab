/** Ranked lists: a bar behind each label, its figure at the right; a click filters the page by it. */

import { Button, Group, Paper, SegmentedControl, Skeleton, Stack, Text, Title, UnstyledButton } from "@mantine/core";
import type { ReactNode } from "react";
import type { Condition } from "../../api/types";
import { ErrorNote } from "../../components/states";
import { percent, short, whole } from "../../format";
import classes from "./home.module.css";
import { NONE, type Ranked } from "./rows";

export const LINES = 9;

interface ListProps {
  rows: Ranked[] | undefined;
  heads: [string, string] | [string, string, string];
  /** What the shares are of; left out: none is shown. */
  of?: number | undefined;
  stale?: boolean;
  error?: unknown;
  empty: string;
  lines?: number;
  onPick: (filter: Condition) => void;
}

export function RankedList({ rows, heads, of, stale, error, empty, lines = LINES, onPick }: ListProps) {
  if (error) return <ErrorNote error={error} />;
  if (!rows) return <ListSkeleton lines={lines} />;
  if (rows.every(({ label }) => label === NONE))
    return (
      <Text c="dimmed" py="xl" ta="center" px="md">
        {empty}
      </Text>
    );
  const shown = rows.slice(0, lines);
  const most = Math.max(...shown.map(({ value }) => value));
  return (
    <div className={stale ? classes.stale : undefined}>
      <div className={classes.heads} aria-hidden>
        <span className={classes.label}>{heads[0]}</span>
        {heads[2] ? <span className={classes.second}>{heads[2]}</span> : null}
        <span className={classes.amount}>{heads[1]}</span>
        {!heads[2] && of ? <span className={classes.second}>Share</span> : null}
      </div>
      <Stack gap={2} component="ul" m={0} p={0} style={{ listStyle: "none" }}>
        {shown.map((row) => (
          <li key={row.label}>
            <Line row={row} heads={heads} share={row.value / most} of={heads[2] ? undefined : of} onPick={onPick} />
          </li>
        ))}
      </Stack>
    </div>
  );
}

function Line({
  row,
  heads,
  share,
  of,
  onPick,
}: {
  row: Ranked;
  heads: ListProps["heads"];
  share: number;
  of: number | undefined;
  onPick: (filter: Condition) => void;
}) {
  const style = { "--share": `${Math.max(0.5, share * 100)}%` } as React.CSSProperties;
  const content = (
    <>
      <span className={classes.label} title={row.label} dir="auto">
        {row.label}
      </span>
      {heads[2] ? (
        <span className={classes.second} title={`${whole(row.second)} ${heads[2].toLowerCase()}`}>
          {short(row.second)}
        </span>
      ) : null}
      <span className={classes.amount} title={`${whole(row.value)} ${heads[1].toLowerCase()}`}>
        {short(row.value)}
      </span>
      {of ? <span className={classes.second}>{percent(row.value / of)}</span> : null}
    </>
  );
  const { filter } = row;
  return filter ? (
    <UnstyledButton className={classes.row} style={style} onClick={() => onPick(filter)}>
      {content}
    </UnstyledButton>
  ) : (
    <div className={classes.row} style={style}>
      {content}
    </div>
  );
}

export function ListSkeleton({ lines = LINES }: { lines?: number }) {
  return (
    <Stack gap="sm" role="status" aria-busy aria-label="Loading" pt="lg">
      {Array.from({ length: lines }, (_, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all the same
        <Skeleton key={place} height={20} width={`${96 - place * 8}%`} />
      ))}
    </Stack>
  );
}

export interface Tab<T extends string> {
  value: T;
  label: string;
}

interface CardProps<T extends string> {
  title: string;
  tabs?: Tab<T>[];
  tab?: T;
  onTab?: (tab: T) => void;
  onMore?: (() => void) | undefined;
  aside?: ReactNode;
  children: ReactNode;
}

/** One list of the page, with the ways in which it can be cut. */
export function ListCard<T extends string>({ title, tabs, tab, onTab, onMore, aside, children }: CardProps<T>) {
  return (
    <Paper
      component="section"
      aria-label={title}
      p="md"
      bg="var(--surface)"
      style={{ display: "flex", flexDirection: "column", minWidth: 0 }}
    >
      <Group justify="space-between" mb="sm" gap="sm" wrap="wrap" mih={32}>
        <Title order={2}>{title}</Title>
        {tabs && tabs.length > 1 && tab && onTab ? (
          <SegmentedControl
            size="xs"
            data={tabs}
            value={tab}
            onChange={(next) => onTab(next as T)}
            aria-label={`${title} by`}
          />
        ) : (
          aside
        )}
      </Group>
      <div style={{ flex: 1, minHeight: 320 }}>{children}</div>
      {onMore && (
        <Button variant="subtle" color="gray" size="xs" onClick={onMore} mt="sm" style={{ alignSelf: "center" }}>
          Show all
        </Button>
      )}
    </Paper>
  );
}
