import { Box, Skeleton } from "@mantine/core";
import { useAnswer } from "../../api/ask";
import { useAnnotations } from "../../api/catalog";
import type { Range, Row } from "../../api/types";
import { ChartView } from "../../components/chart-view";
import { ErrorNote } from "../../components/states";
import { type Figure, overTime, type View } from "./questions";
import { intervalFor, rangeOf } from "./ranges";

const HEIGHT = 280;

/** The chosen figure over time. A click on a point narrows the range to it. */
export function Trend({
  project,
  figure,
  view,
  compare,
  onNarrow,
}: {
  project: string;
  figure: Figure;
  view: View;
  compare: boolean;
  onNarrow: (range: Range) => void;
}) {
  const interval = intervalFor(view.range);
  const question = overTime(figure, view, interval, compare);
  const answer = useAnswer(project, question, { refresh: 60_000 });
  const annotations = useAnnotations(project);
  if (answer.error) return <ErrorNote error={answer.error} onRetry={() => void answer.refetch()} />;
  if (!answer.data) return <Skeleton height={HEIGHT} role="status" aria-label="Loading" />;
  return (
    <Box opacity={answer.isPlaceholderData ? 0.6 : 1}>
      <ChartView
        answer={answer.data}
        question={question}
        height={HEIGHT}
        annotations={annotations}
        onPick={(row: Row) => {
          const range = rangeOf(String(row.period ?? ""), interval);
          if (range) onNarrow(range);
        }}
      />
    </Box>
  );
}
