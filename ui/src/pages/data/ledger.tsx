import { Alert, Paper, SegmentedControl, Stack, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { call, projectPath } from "../../api/client";
import type { LedgerLine } from "../../api/types";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { WideTable } from "../../components/wide-table";
import { moment, whole } from "../../format";
import { useProject, useUrlValue } from "../../state/url";
import classes from "./data.module.css";

const BACK = [
  { value: "1", label: "Day" },
  { value: "7", label: "Week" },
  { value: "30", label: "Month" },
];
const COUNTS = ["accepted", "stored", "duplicate", "rejected", "in_flight", "gap"] as const;
type Counts = Record<(typeof COUNTS)[number], number>;

/** By hour of receipt: accepted = stored + duplicate + rejected + in flight, or something is wrong. */
export function LedgerTab() {
  const { id, zone } = useProject();
  const [days, setDays] = useUrlValue("days", "7");
  const lines = useQuery({
    queryKey: ["ledger", id, days],
    queryFn: () => {
      const since = new Date(Date.now() - Number(days) * 86_400_000);
      since.setUTCMinutes(0, 0, 0);
      return call<LedgerLine[]>(projectPath(id, "ledger"), { query: { since: since.toISOString() } });
    },
    refetchInterval: 10_000,
  });
  return (
    <Stack gap="md">
      <SegmentedControl
        aria-label="How far back"
        data={BACK}
        value={days}
        onChange={setDays}
        style={{ alignSelf: "flex-start" }}
      />
      {lines.error ? (
        <ErrorNote error={lines.error} onRetry={() => void lines.refetch()} />
      ) : !lines.data ? (
        <RowsSkeleton rows={12} />
      ) : lines.data.length === 0 ? (
        <Empty title="No event was accepted in this time">
          For each hour stands here what became of the events that it brought: stored, duplicate, rejected or still on
          their way.
        </Empty>
      ) : (
        <Books lines={lines.data} zone={zone} />
      )}
    </Stack>
  );
}

function Books({ lines, zone }: { lines: LedgerLine[]; zone: string }) {
  const total = Object.fromEntries(
    COUNTS.map((name) => [name, lines.reduce((sum, line) => sum + line[name], 0)]),
  ) as Counts;
  const wrong = lines.filter(({ gap }) => gap !== 0);
  return (
    <>
      {wrong.length === 0 ? (
        <Alert variant="outline" color="green" title="Every event is accounted for">
          {whole(total.accepted)} accepted = {whole(total.stored)} stored + {whole(total.duplicate)} duplicate +{" "}
          {whole(total.rejected)} rejected + {whole(total.in_flight)} in flight.
        </Alert>
      ) : (
        <Alert
          variant="outline"
          color="red"
          title={`${whole(wrong.length)} ${wrong.length === 1 ? "hour does" : "hours do"} not add up`}
          role="alert"
        >
          {wrong.length === 1 && wrong[0]
            ? inWords(wrong[0].gap)
            : "Events are missing, or were stored without being accepted."}{" "}
          Look at /health and the server’s log for the cause.
        </Alert>
      )}
      <Paper bg="var(--surface)" style={{ overflow: "hidden" }}>
        <WideTable boxed label="Ledger" minWidth={720} maxHeight="calc(100vh - 400px)">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Hour of receipt</Table.Th>
              <Table.Th ta="right">Accepted</Table.Th>
              <Table.Th ta="right">Stored</Table.Th>
              <Table.Th ta="right">Duplicate</Table.Th>
              <Table.Th ta="right">Rejected</Table.Th>
              <Table.Th ta="right">In flight</Table.Th>
              <Table.Th ta="right">Gap</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {lines.map((line) => (
              <Table.Tr key={line.hour} className={line.gap === 0 ? undefined : classes.gap}>
                <Table.Td className="number">{moment(line.hour, zone)}</Table.Td>
                {COUNTS.slice(0, 5).map((name) => (
                  <Table.Td key={name} ta="right" c={line[name] === 0 ? "dimmed" : "inherit"}>
                    {whole(line[name])}
                  </Table.Td>
                ))}
                <Table.Td
                  ta="right"
                  c={line.gap === 0 ? "dimmed" : "var(--bad)"}
                  fw={line.gap === 0 ? undefined : 600}
                  title={line.gap === 0 ? "" : inWords(line.gap)}
                >
                  {whole(line.gap)}
                  {line.gap === 0 ? "" : line.gap > 0 ? " missing" : " too many"}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </WideTable>
      </Paper>
      <Text size="sm" c="dimmed">
        Accepted: acknowledged to the sender. Duplicate: sent again, counted once. Rejected: kept as dead letters. In
        flight: in the log, not loaded yet.
      </Text>
    </>
  );
}

function inWords(gap: number): string {
  const count = Math.abs(gap);
  const events = `${whole(count)} ${count === 1 ? "event" : "events"}`;
  return gap > 0
    ? `${events} ${count === 1 ? "was" : "were"} accepted and ${count === 1 ? "is" : "are"} nowhere.`
    : `${events} more than were accepted ${count === 1 ? "is" : "are"} there.`;
}
