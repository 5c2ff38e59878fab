/** An answer's rows as a table: numbers to the right, sorted by a click on a head, smooth with many thousand rows. */

import { ActionIcon, Group, Text, Tooltip, UnstyledButton } from "@mantine/core";
import { useClipboard } from "@mantine/hooks";
import { IconArrowDown, IconArrowUp, IconCheck, IconCopy, IconUsers } from "@tabler/icons-react";
import {
  type ColumnDef,
  getCoreRowModel,
  getSortedRowModel,
  type SortingState,
  useReactTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import type { Answer, Row } from "../api/types";
import { words } from "../charts";
import { whole } from "../format";
import { useProject } from "../state/url";
import classes from "./chart.module.css";
import type { Pick } from "./chart-view";
import { cellText, columnWidths, isNumeric, tabSeparated } from "./table-cells";

const ROW = 32;

export interface AnswerTableProps {
  answer: Answer;
  /** At most so many pixels; few rows take less. */
  height?: number;
  unit?: string;
  onPick?: Pick;
}

export function AnswerTable({ answer, height = 480, unit = "", onPick }: AnswerTableProps) {
  const project = useProject();
  const zone = String(answer.receipt.timezone ?? project.zone);
  const [sorting, setSorting] = useState<SortingState>([]);
  const box = useRef<HTMLDivElement>(null);
  const rows = answer.rows as Row[];
  const columns = useMemo(
    () =>
      answer.columns.map(
        (column): ColumnDef<Row> => ({
          id: column.name,
          accessorFn: (row) => row[column.name],
          sortUndefined: "last",
          sortingFn: (one, other) => compared(one.original[column.name], other.original[column.name]),
          sortDescFirst: isNumeric(rows, column.name),
        }),
      ),
    [answer.columns, rows],
  );
  const table = useReactTable({
    data: rows,
    columns,
    state: { sorting },
    onSortingChange: setSorting,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
  });
  const shown = table.getRowModel().rows;
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const widths = useMemo(() => columnWidths(answer, zone), [answer, zone]);
  const numeric = useMemo(
    () => new Set(answer.columns.filter((column) => isNumeric(rows, column.name)).map((column) => column.name)),
    [answer.columns, rows],
  );
  const items = virtual.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items[items.length - 1]?.end ?? 0);
  const sum = widths.reduce((all, one) => all + one, 0) + (onPick ? 48 : 0);
  const head = ROW + 2;
  return (
    <div>
      <section
        ref={box}
        className={classes.box}
        style={{ maxHeight: Math.max(height - 32, head + ROW * 2) }}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys
        tabIndex={0}
        aria-label="Rows"
      >
        <table className={classes.table} style={{ minWidth: sum, width: "100%" }} aria-rowcount={rows.length + 1}>
          <colgroup>
            {answer.columns.map((column, place) => (
              <col key={column.name} style={{ width: widths[place] }} />
            ))}
            {onPick && <col style={{ width: 48 }} />}
          </colgroup>
          <thead>
            <tr aria-rowindex={1}>
              {table.getFlatHeaders().map((header, place) => {
                const column = answer.columns[place];
                const sorted = header.column.getIsSorted();
                return (
                  <th
                    key={header.id}
                    className={numeric.has(header.id) ? (classes.right ?? "") : ""}
                    aria-sort={sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : "none"}
                  >
                    <Tooltip label={column?.help} disabled={!column?.help} multiline maw={280}>
                      <UnstyledButton className={classes.sort ?? ""} onClick={header.column.getToggleSortingHandler()}>
                        <span>{words(header.id)}</span>
                        {sorted === "asc" && <IconArrowUp size={14} aria-hidden />}
                        {sorted === "desc" && <IconArrowDown size={14} aria-hidden />}
                      </UnstyledButton>
                    </Tooltip>
                  </th>
                );
              })}
              {onPick && <th aria-label="What is behind" />}
            </tr>
          </thead>
          <tbody>
            {before > 0 && <Spacer height={before} />}
            {items.map((item) => {
              const row = shown[item.index]?.original;
              if (!row) return null;
              return (
                <tr key={item.key} aria-rowindex={item.index + 2}>
                  {answer.columns.map((column) => {
                    const text = cellText(row[column.name], column.name, zone, unit);
                    return (
                      <td
                        key={column.name}
                        className={numeric.has(column.name) ? (classes.right ?? "") : ""}
                        title={text.length > 20 ? text : undefined}
                      >
                        {text}
                      </td>
                    );
                  })}
                  {onPick && (
                    <td style={{ padding: "0 8px" }}>
                      <ActionIcon
                        variant="subtle"
                        color="gray"
                        aria-label="What is behind this row"
                        onClick={(event) => onPick(row, null, { x: event.clientX, y: event.clientY })}
                      >
                        <IconUsers size={16} />
                      </ActionIcon>
                    </td>
                  )}
                </tr>
              );
            })}
            {after > 0 && <Spacer height={after} />}
          </tbody>
        </table>
      </section>
      <Group justify="space-between" h={28}>
        <Text size="xs" c="dimmed">
          {rows.length === 1 ? "1 row" : `${whole(rows.length)} rows`}
        </Text>
        <CopyTable
          text={() =>
            tabSeparated(
              answer,
              shown.map((row) => row.original),
            )
          }
        />
      </Group>
    </div>
  );
}

function Spacer({ height }: { height: number }) {
  return (
    <tr aria-hidden style={{ height }}>
      <td style={{ padding: 0, border: 0, height }} />
    </tr>
  );
}

function CopyTable({ text }: { text: () => string }) {
  const { copy, copied } = useClipboard({ timeout: 1500 });
  return (
    <UnstyledButton className={classes.receipt ?? ""} onClick={() => copy(text())}>
      <Group gap={4}>
        {copied ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />}
        {copied ? "Copied" : "Copy rows"}
      </Group>
    </UnstyledButton>
  );
}

/** Numbers by size, all else as text; nothing comes last. */
function compared(one: unknown, other: unknown): number {
  const [none, noOther] = [one === null || one === undefined, other === null || other === undefined];
  if (none || noOther) return Number(none) - Number(noOther);
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}
