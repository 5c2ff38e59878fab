import { Box, Button, Table } from "@mantine/core";
import type { ReactNode } from "react";

interface WideTableProps {
  /** What the table lists. */
  label: string;
  /** Below this width, in pixels, it is moved sideways. */
  minWidth: number;
  maxHeight?: string;
  /** It fills a box, whose edge its cells keep away from. */
  boxed?: boolean;
  children: ReactNode;
}

/** The head of a table: a name for each column, and room for what can be done with a row. */
export function TableHead({ columns, actions }: { columns: string[] /** Pixels. */; actions?: number }) {
  return (
    <Table.Thead>
      <Table.Tr>
        {columns.map((name) => (
          <Table.Th key={name}>{name}</Table.Th>
        ))}
        {actions !== undefined && <Table.Th w={actions} aria-label="Actions" />}
      </Table.Tr>
    </Table.Thead>
  );
}

interface OverProps {
  count: number;
  shown: boolean;
  onChange: (shown: boolean) => void;
  /** What the button says, by whether they are shown. */
  hide: string;
  show: string;
}

/** Below a table: what is over can be shown too. */
export function Over({ count, shown, onChange, hide, show }: OverProps) {
  if (count === 0) return null;
  return (
    <Button variant="subtle" color="gray" size="xs" mt="sm" onClick={() => onChange(!shown)}>
      {shown ? hide : show}
    </Button>
  );
}

/** A table that keeps its columns on a narrow page; by keyboard it is moved sideways too. */
export function WideTable({ label, minWidth, maxHeight, boxed = false, children }: WideTableProps) {
  return (
    <Box component="section" aria-label={label} tabIndex={0} style={{ overflow: "auto", maxHeight }}>
      <Table
        miw={minWidth}
        verticalSpacing={boxed ? 6 : "sm"}
        horizontalSpacing={boxed ? "md" : "xs"}
        stickyHeader={maxHeight !== undefined}
      >
        {children}
      </Table>
    </Box>
  );
}
