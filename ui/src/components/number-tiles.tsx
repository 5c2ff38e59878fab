/** Numbers with their change, spark line and target. */

import { Box, Group, Text, UnstyledButton } from "@mantine/core";
import type { NumberTile } from "../charts";
import { sparkPaths } from "../charts";
import { percent } from "../format";
import classes from "./chart.module.css";
import type { Pick } from "./chart-view";

export function NumberTiles({ numbers, compact, onPick }: { numbers: NumberTile[]; compact: boolean; onPick?: Pick }) {
  return (
    <div className={classes.tiles}>
      {numbers.map((one) => {
        const { row } = one;
        const key = `${one.label} ${one.when}`;
        if (!row || !onPick) return <Tile key={key} tile={one} compact={compact} />;
        return (
          <UnstyledButton
            key={key}
            className={classes.tile ?? ""}
            onClick={(event) => onPick(row, null, { x: event.clientX, y: event.clientY })}
          >
            <Tile tile={one} compact={compact} />
          </UnstyledButton>
        );
      })}
    </div>
  );
}

const ARROWS = { up: "▲", down: "▼", same: "=", none: "" };
const DIRECTIONS = { up: "more", down: "less", same: "the same", none: "" };

function Tile({ tile, compact }: { tile: NumberTile; compact: boolean }) {
  const told = [tile.when, tile.growing ? "not complete yet" : ""].filter(Boolean).join(", ");
  return (
    <Box className={classes.tile ?? ""}>
      <Text size="sm" c="dimmed" truncate title={tile.label}>
        {tile.label}
      </Text>
      <Group gap="sm" align="baseline" wrap="nowrap">
        <span className={`${classes.value} ${tile.growing ? classes.growing : ""}`} title={tile.full}>
          {tile.said}
        </span>
        {tile.change && (
          <Text
            size="sm"
            className={classes.change ?? ""}
            {...(tile.noise ? { c: "dimmed" } : {})}
            title={`Before: ${tile.beforeSaid}${tile.noise ? ". The change may be chance." : ""}`}
          >
            <span aria-hidden>{ARROWS[tile.direction]} </span>
            {tile.change}
            <span className={classes.unseen}> {DIRECTIONS[tile.direction]} than before</span>
          </Text>
        )}
      </Group>
      {(told || (tile.beforeSaid && tile.change)) && (
        <Text size="xs" c="dimmed">
          {[told, tile.change ? `before ${tile.beforeSaid}${tile.noise ? ", within chance" : ""}` : ""]
            .filter(Boolean)
            .join(" · ")}
        </Text>
      )}
      {tile.target && (
        <Box mt={8}>
          <div className={classes.bar}>
            <span style={{ width: `${Math.min(Math.max(tile.target.share, 0), 1) * 100}%` }} />
          </div>
          <Text size="xs" c="dimmed" mt={4}>
            {percent(tile.target.share)} of the target, {tile.target.said}
          </Text>
        </Box>
      )}
      {tile.spark.length > 1 && <Spark values={tile.spark} growing={tile.sparkGrowing} height={compact ? 28 : 36} />}
    </Box>
  );
}

const WIDTH = 240;

function Spark({ values, growing, height }: { values: (number | null)[]; growing: number; height: number }) {
  const { solid, dashed } = sparkPaths(values, growing, WIDTH, height);
  const line = {
    fill: "none",
    stroke: "var(--mantine-primary-color-filled)",
    strokeWidth: 1.5,
    vectorEffect: "non-scaling-stroke" as const,
  };
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${height}`}
      width="100%"
      height={height}
      preserveAspectRatio="none"
      aria-hidden
      style={{ display: "block", marginTop: 8 }}
    >
      <path d={solid} {...line} />
      <path d={dashed} {...line} strokeDasharray="3 3" />
    </svg>
  );
}
