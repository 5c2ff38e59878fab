import { Badge, Button, Code, CopyButton, Group, Loader, Paper, Stack, Table, Tabs, Text, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { call, projectPath } from "../../api/client";
import { useLiveEvents } from "../../api/live";
import { atLeast } from "../../api/me";
import type { Row } from "../../api/types";
import { ErrorNote, PageHead } from "../../components/states";
import { useProject } from "../../state/url";
import { keepKey, keptKey } from "./kept-key";
import { SNIPPETS } from "./snippets";

/** How to send the first event; it appears here as it comes in. */
export function Component() {
  const project = useProject();
  const [key, setKey] = useState(keptKey(project.id));
  const { events } = useLiveEvents(project.id, true, "", 20);
  const make = useMutation({
    mutationFn: () =>
      call<{ key: string }>(projectPath(project.id, "keys"), {
        method: "POST",
        body: { role: "write", name: "first steps" },
      }),
    onSuccess: (made) => {
      keepKey(project.id, made.key);
      setKey(made.key);
    },
  });
  const host = window.location.origin;
  const shown = key || "WRITE_KEY";
  return (
    <Stack gap="lg" maw={880}>
      <PageHead
        title="Send the first event"
        about="Use the SDK that your app has already: only its host and its key change."
      >
        {!key && atLeast(project.role, "admin") && (
          <Button onClick={() => make.mutate()} loading={make.isPending}>
            Make a write key
          </Button>
        )}
      </PageHead>
      {make.isError && <ErrorNote error={make.error} />}
      {key && (
        <Text c="dimmed" size="sm">
          The key stands in the snippets. It is shown in this tab only; keep it where your app’s settings are.
        </Text>
      )}
      <Tabs defaultValue={SNIPPETS[0]?.id ?? ""} variant="pills" keepMounted={false}>
        <Tabs.List>
          {SNIPPETS.map(({ id, label }) => (
            <Tabs.Tab key={id} value={id} mih={44}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {SNIPPETS.map(({ id, text }) => (
          <Tabs.Panel key={id} value={id} pt="md">
            <Paper p="md" bg="var(--surface)" pos="relative">
              <CopyButton value={text(host, shown)}>
                {({ copied, copy }) => (
                  <Button
                    size="xs"
                    variant="default"
                    onClick={copy}
                    style={{ position: "absolute", right: 12, top: 12 }}
                  >
                    {copied ? "Copied" : "Copy"}
                  </Button>
                )}
              </CopyButton>
              <Code block bg="transparent" p={0} pr={80} fz="sm" tabIndex={0} style={{ overflowX: "auto" }}>
                {text(host, shown)}
              </Code>
            </Paper>
          </Tabs.Panel>
        ))}
      </Tabs>
      <Waiting events={events} />
    </Stack>
  );
}

function Waiting({ events }: { events: Row[] }) {
  const first = events[0];
  if (!first)
    return (
      <Paper p="lg" bg="var(--surface)" role="status">
        <Group>
          <Loader size="sm" aria-hidden />
          <div>
            <Title order={2}>Waiting for an event</Title>
            <Text c="dimmed">It appears here within a second of its arrival.</Text>
          </div>
        </Group>
      </Paper>
    );
  const lines = Object.entries(first).filter(
    ([, value]) => value !== "" && value !== null && JSON.stringify(value) !== "{}",
  );
  return (
    <Paper p="lg" bg="var(--surface)" role="status">
      <Group justify="space-between" mb="md">
        <Group gap="sm">
          <Title order={2}>{String(first.event)}</Title>
          <Badge color="green" variant="light" tt="none">
            arrived
          </Badge>
        </Group>
        <Button component={Link} to="../home" relative="path" variant="default">
          Look at the numbers
        </Button>
      </Group>
      <Table layout="fixed">
        <Table.Tbody>
          {lines.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th w={160} scope="row" fw={500} c="dimmed">
                {name}
              </Table.Th>
              <Table.Td style={{ overflowWrap: "anywhere" }}>
                {typeof value === "object" ? JSON.stringify(value) : String(value)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Paper>
  );
}
