import { Box, Table } from "@mantine/core";
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
