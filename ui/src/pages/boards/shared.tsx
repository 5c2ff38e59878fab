/** A board behind a link: to look at, without an account; it may stand within other sites' pages. */

import { Box, Group, Select, Text, Title } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { useParams, useSearchParams } from "react-router";
import { call } from "../../api/client";
import type { Answer, Condition, Question, Range } from "../../api/types";
import type { Annotation, ChartChoice } from "../../charts";
import { AnswerPanel } from "../../components/answer-panel";
import { RangePicker } from "../../components/range-picker";
import { ErrorNote, Loading, RowsSkeleton } from "../../components/states";
import classes from "./boards.module.css";
import { Grid } from "./grid";
import { type Board, GAP, ROW, type Tile } from "./model";
import { isPlain, TileFrame } from "./tile-card";

const Markdown = lazy(() => import("./markdown"));

interface Shared {
  board: Board & { tiles: (Tile & { kind: string })[] };
  annotations: Annotation[];
  project: { name: string; zone: string };
  embed: boolean;
}

export function Component() {
  const { token = "" } = useParams();
  const [search] = useSearchParams();
  const signed = search.get("filter") ?? "";
  const path = `/api/v1/shared/${encodeURIComponent(token)}`;
  const shared = useQuery({
    queryKey: ["shared", token, signed],
    queryFn: () => call<Shared>(path, { query: { filter: signed } }),
    retry: false,
  });
  const [range, setRange] = useState<Range | null>(null);
  const [filters, setFilters] = useState<Condition[]>([]);
  const phone = useMediaQuery("(max-width: 48em)") ?? false;
  if (shared.isPending) return <Loading />;
  if (shared.isError) return <ErrorNote error={shared.error} page />;
  const { board, project } = shared.data;
  return (
    <Box component="main" p={{ base: "md", sm: "lg" }} maw={1440} mx="auto">
      <Group justify="space-between" align="flex-start" mb="md">
        <div>
          <Title order={1}>{board.title}</Title>
          <Text c="dimmed">
            {board.description ? `${board.description} ` : ""}
            {project.name}, days in {project.zone}
          </Text>
        </div>
        <RangePicker
          value={range ?? board.range ?? {}}
          onChange={(next) => setRange(next.last || next.date_from || next.date_to ? next : null)}
          zone={project.zone}
          whenEmpty="Each its own range"
        />
      </Group>
      <Grid board={board} editing={false} narrow={phone} onMove={() => undefined}>
        {(tile) => (
          <TileFrame tile={tile} title={tile.title ?? ""} plain={isPlain(tile)}>
            <SharedTile
              path={`${path}/tiles/${encodeURIComponent(tile.id)}`}
              signed={signed}
              tile={tile as Tile & { kind: string }}
              annotations={shared.data.annotations}
              range={range}
              filters={filters}
              refresh={board.refresh ?? 0}
              onFilter={(property, value) =>
                setFilters([
                  ...filters.filter((one) => one.property !== property),
                  ...(value === null ? [] : [{ property, value }]),
                ])
              }
            />
          </TileFrame>
        )}
      </Grid>
      <Text size="sm" c="dimmed" mt="lg">
        Counted by Almanac
      </Text>
    </Box>
  );
}

interface TileProps {
  path: string;
  signed: string;
  tile: Tile & { kind: string };
  annotations: Annotation[];
  range: Range | null;
  filters: Condition[];
  refresh: number;
  onFilter: (property: string, value: string | null) => void;
}

/** Seconds between two looks at a tile that keeps itself up to date. */
const PAUSE = 30;

function SharedTile({ path, signed, tile, annotations, range, filters, refresh, onFilter }: TileProps) {
  const asks = tile.type === "question" || tile.type === "number";
  const answer = useQuery({
    queryKey: ["shared-tile", path, signed, range, filters],
    queryFn: ({ signal }) =>
      call<Answer>(path, {
        method: "POST",
        query: { filter: signed },
        body: { ...(range ? { range } : {}), filters },
        signal,
      }),
    enabled: asks,
    placeholderData: keepPreviousData,
    refetchInterval: (refresh || PAUSE) * 1000,
  });
  if (asks) {
    const chart: ChartChoice = { ...tile.chart, ...(tile.type === "number" ? { type: "number" as const } : {}) };
    return (
      <AnswerPanel
        project=""
        question={{ kind: tile.kind } as Question}
        answer={answer.data ?? null}
        error={answer.error}
        fetching={answer.isFetching}
        old={answer.isPlaceholderData}
        cameAt={answer.dataUpdatedAt}
        chart={chart}
        height={Math.max(120, tile.h * (ROW + GAP) - GAP - 92)}
        title={null}
        annotations={annotations}
        compact
        anonymous
        onRetry={() => void answer.refetch()}
      />
    );
  }
  if (tile.type === "text")
    return (
      <Suspense fallback={<RowsSkeleton rows={2} />}>
        <Markdown text={tile.text ?? ""} />
      </Suspense>
    );
  if (tile.type === "image") return <img className={classes.image} src={tile.image} alt={tile.title ?? ""} />;
  if (tile.type === "filter") return <FilterTile tile={tile} filters={filters} onFilter={onFilter} />;
  return null;
}

/** The property's values are those of the chosen filter alone: nobody outside is told which there are. */
function FilterTile({ tile, filters, onFilter }: Pick<TileProps, "tile" | "filters" | "onFilter">) {
  const property = tile.property ?? "";
  const [typed, setTyped] = useState("");
  const value = filters.find((one) => one.property === property)?.value;
  const now = value === undefined ? null : String(value);
  return (
    <Select
      aria-label={`Filter by ${property}`}
      placeholder="All; type a value"
      data={[...new Set([typed.trim(), now ?? ""])].filter(Boolean)}
      searchable
      searchValue={typed}
      onSearchChange={setTyped}
      value={now}
      onChange={(next) => onFilter(property, next)}
      clearable
    />
  );
}
