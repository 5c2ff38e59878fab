/** The tracking plan: what events are to look like, and which do not. */

import { Button, Group, Paper, Table, Text, Title } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useEventNames, useSaveDefinition } from "../../api/catalog";
import { call, projectPath } from "../../api/client";
import { atLeast } from "../../api/me";
import type { Definition, Row } from "../../api/types";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { tell, tellError } from "../../components/tell";
import { WideTable } from "../../components/wide-table";
import { ago, moment, percent, whole } from "../../format";
import { useProject } from "../../state/url";
import { Definitions } from "./definitions";
import { PlanForm } from "./plan-form";
import { type Found, foundOf, type Violation } from "./violations";

const OTHERS = "*";

export function PlanTab() {
  const project = useProject();
  const names = useEventNames(project.id);
  return (
    <Definitions
      kind="plan"
      noun="entry"
      fresh={{ mode: "observe", schema: { type: "object", required: [], properties: {} } }}
      form={PlanForm}
      names={[OTHERS, ...(names.data ?? []).map(({ event }) => event)]}
      hint={({ body }) =>
        [String((body as Row).mode ?? "observe"), String((body as Row).owner ?? "")].filter(Boolean).join(", ")
      }
      more={<Draft />}
      teaches="An entry says what the events of one name are to look like: a JSON Schema of their properties, and whether an event that does not fit is counted, marked or kept as a dead letter. Begin with a draft from what was seen."
    >
      {(item) => <Violations item={item} />}
    </Definitions>
  );
}

/** Entries for events that have none, from what was seen. All of them only observe. */
function Draft() {
  const project = useProject();
  const may = atLeast(project.role, "analyst");
  const names = useEventNames(project.id);
  const save = useSaveDefinition(project.id, "plan");
  const [event, setEvent] = useState("");
  const infer = useMutation({
    mutationFn: () =>
      call<{ plans: Record<string, Row> }>(projectPath(project.id, "tracking-plan", "infer"), { query: { days: 30 } }),
    onSuccess: async ({ plans }) => {
      const have = await call<Definition[]>(projectPath(project.id, "definitions", "plan"));
      const known = new Set(have.map(({ name }) => name));
      const fresh = Object.entries(plans).filter(([name]) => !known.has(name));
      for (const [name, body] of fresh) {
        setEvent(name);
        await save.mutateAsync({ name, body, expected: 0 });
      }
      setEvent("");
      tell(
        fresh.length === 0
          ? "Every event of the last 30 days has an entry."
          : `${whole(fresh.length)} ${fresh.length === 1 ? "entry was" : "entries were"} drafted. They observe; read them before you make one reject.`,
      );
    },
    onError: (error) => {
      setEvent("");
      tellError(error);
    },
  });
  if (!may || !names.data || names.data.length === 0) return null;
  return (
    <Group mb="md" gap="sm">
      <Button variant="default" onClick={() => infer.mutate()} loading={infer.isPending}>
        Draft entries from what was seen
      </Button>
      {event && (
        <Text size="sm" c="dimmed" role="status">
          {event}
        </Text>
      )}
    </Group>
  );
}

interface Would {
  event: string;
  kind: string;
  mode: string;
  events: number;
  checked: number;
  failed: number;
  violations: { property: string; rule: string; wanted: unknown; count: number }[];
}

/** What did not fit this entry lately, and how stored events would fare under it now. */
function Violations({ item }: { item: Definition }) {
  const { id } = useProject();
  const event = item.name === OTHERS ? "" : item.name;
  const found = useQuery({
    queryKey: ["violations", id, event],
    queryFn: () => call<Found>(projectPath(id, "tracking-plan", "violations"), { query: { days: 30, event } }),
    refetchInterval: 30_000,
  });
  const check = useMutation({
    mutationFn: () =>
      call<Would[]>(projectPath(id, "tracking-plan", "check"), {
        method: "POST",
        body: { plans: { [item.name]: item.body } },
        query: { days: 7, event },
      }),
    onError: tellError,
  });
  return (
    <Paper p="md" bg="var(--surface)">
      <Group justify="space-between" mb="sm">
        <Title order={3}>{event ? "What did not fit in 30 days" : "What did not fit in 30 days, of all events"}</Title>
        <Button size="xs" variant="default" onClick={() => check.mutate()} loading={check.isPending}>
          Try on the last 7 days
        </Button>
      </Group>
      {check.data && <Tried would={check.data} />}
      {found.error ? (
        <ErrorNote error={found.error} onRetry={() => void found.refetch()} />
      ) : !found.data ? (
        <RowsSkeleton rows={4} />
      ) : (
        <Seen found={found.data} />
      )}
    </Paper>
  );
}

function Tried({ would }: { would: Would[] }) {
  const checked = would.reduce((sum, one) => sum + one.checked, 0);
  const failed = would.reduce((sum, one) => sum + one.failed, 0);
  const faults = would.flatMap(({ violations }) => violations).slice(0, 20);
  return (
    <Text mb="md" role="status" component="div">
      {checked === 0
        ? "No event of the last 7 days is meant by it."
        : failed === 0
          ? `All ${whole(checked)} events looked at would fit.`
          : `${whole(failed)} of ${whole(checked)} events looked at (${percent(failed / checked)}) would not fit: ${faults
              .map(({ property, rule, count }) => `${property || "properties"} ${rule} (${whole(count)})`)
              .join(", ")}.`}
    </Text>
  );
}

function Seen({ found }: { found: Found }) {
  const { zone } = useProject();
  const { checked, failed, faults } = foundOf(found);
  if (checked === 0)
    return <Text c="dimmed">It has not judged an event yet. It judges those that are loaded after it was saved.</Text>;
  if (faults.length === 0) return <Empty title="Everything fits">{whole(checked)} events were judged.</Empty>;
  return (
    <>
      <Text mb="sm">
        {whole(failed)} of {whole(checked)} events judged ({percent(failed / checked)}) did not fit.
      </Text>
      <WideTable label="What did not fit" minWidth={560}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Event</Table.Th>
            <Table.Th>Property</Table.Th>
            <Table.Th>Rule</Table.Th>
            <Table.Th ta="right">Events</Table.Th>
            <Table.Th>Last</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {faults.slice(0, 200).map((fault: Violation) => (
            <Table.Tr key={`${fault.event} ${fault.property} ${fault.rule}`}>
              <Table.Td>{fault.event}</Table.Td>
              <Table.Td ff="monospace" fz="sm">
                {fault.property || "all"}
              </Table.Td>
              <Table.Td>{fault.rule}</Table.Td>
              <Table.Td ta="right">{whole(fault.count)}</Table.Td>
              <Table.Td title={moment(fault.last_seen, zone)}>{ago(fault.last_seen)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </WideTable>
    </>
  );
}
