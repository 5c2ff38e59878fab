/** Where events come from without an SDK: signed webhooks, and files that are fetched by a schedule. */

import { ActionIcon, Badge, Button, Code, CopyButton, Group, Menu, Stack, Table, Text } from "@mantine/core";
import { IconDots } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, projectPath } from "../../api/client";
import { atLeast } from "../../api/me";
import type { Source } from "../../api/types";
import { Confirm } from "../../components/confirm";
import { NeedsRole } from "../../components/needs-role";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { tell, tellError } from "../../components/tell";
import { WideTable } from "../../components/wide-table";
import { ago, MISSING, moment } from "../../format";
import { useProject } from "../../state/url";
import { SourceEditor } from "./source-editor";
import { isBad, isHook, SOURCE_KINDS, stateWord } from "./source-kinds";

export function SourcesTab() {
  const project = useProject();
  const may = atLeast(project.role, "admin");
  const [edited, setEdited] = useState<Source | "new" | null>(null);
  const sources = useQuery({
    queryKey: ["sources", project.id],
    queryFn: () => call<Source[]>(projectPath(project.id, "sources")),
    enabled: may,
    refetchInterval: (query) => (query.state.data?.some(({ state }) => state.status === "running") ? 1000 : 10_000),
  });
  if (!may)
    return (
      <NeedsRole
        needed="admin"
        role={project.role}
        what="Sources hold secrets and reach other hosts, so admins alone see and make them."
      />
    );
  return (
    <>
      <Group justify="space-between" mb="md" gap="sm">
        <Text c="dimmed" maw={640}>
          Webhooks that a vendor signs, and files of buckets, web servers and folders. Each event counts once, however
          often it is delivered.
        </Text>
        <Button onClick={() => setEdited("new")}>New source</Button>
      </Group>
      {sources.error ? (
        <ErrorNote error={sources.error} onRetry={() => void sources.refetch()} />
      ) : !sources.data ? (
        <RowsSkeleton rows={4} />
      ) : sources.data.length === 0 ? (
        <Empty title="There is no source">
          Events come by SDKs alone. A source brings what Stripe, GitHub or any other service tells, or what lies in
          files.
        </Empty>
      ) : (
        <WideTable label="Sources" minWidth={760}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th>Last</Table.Th>
              <Table.Th>Next</Table.Th>
              <Table.Th w={48} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sources.data.map((source) => (
              <SourceRow key={source.name} source={source} onEdit={() => setEdited(source)} />
            ))}
          </Table.Tbody>
        </WideTable>
      )}
      {edited && (
        <SourceEditor
          key={edited === "new" ? "new" : edited.name}
          saved={edited === "new" ? null : edited}
          onClose={() => setEdited(null)}
        />
      )}
    </>
  );
}

function SourceRow({ source, onEdit }: { source: Source; onEdit: () => void }) {
  const { zone } = useProject();
  const { state } = source;
  return (
    <Table.Tr>
      <Table.Td style={{ verticalAlign: "top" }}>
        <Stack gap={4}>
          <Text fw={500}>{source.name}</Text>
          <Text size="sm" c="dimmed">
            {SOURCE_KINDS[source.kind]?.label ?? source.kind}
          </Text>
          {source.path && <Address path={source.path} />}
        </Stack>
      </Table.Td>
      <Table.Td maw={360} style={{ verticalAlign: "top" }}>
        <Badge variant="default" tt="none" fw={500} c={isBad(state.status) ? "var(--bad)" : undefined}>
          {stateWord(state.status)}
        </Badge>
        <Text size="sm" mt={4} style={{ overflowWrap: "anywhere" }} c={isBad(state.status) ? "inherit" : "dimmed"}>
          {state.sentence}
        </Text>
      </Table.Td>
      <Table.Td style={{ verticalAlign: "top" }} title={state.last ? moment(state.last, zone) : ""}>
        {state.last ? ago(state.last) : MISSING}
      </Table.Td>
      <Table.Td style={{ verticalAlign: "top" }} className="number">
        {state.next ? moment(state.next, zone) : MISSING}
      </Table.Td>
      <Table.Td style={{ verticalAlign: "top" }}>
        <Actions source={source} onEdit={onEdit} />
      </Table.Td>
    </Table.Tr>
  );
}

function Address({ path }: { path: string }) {
  const address = `${window.location.origin}${path}`;
  return (
    <Group gap="xs" wrap="nowrap">
      <Code style={{ overflowWrap: "anywhere" }}>{address}</Code>
      <CopyButton value={address}>
        {({ copied, copy }) => (
          <Button size="compact-xs" variant="default" onClick={copy}>
            {copied ? "Copied" : "Copy"}
          </Button>
        )}
      </CopyButton>
    </Group>
  );
}

function Actions({ source, onEdit }: { source: Source; onEdit: () => void }) {
  const { id } = useProject();
  const client = useQueryClient();
  const [removing, setRemoving] = useState(false);
  const changed = () => void client.invalidateQueries({ queryKey: ["sources", id] });
  const paused = source.source.enabled === false;
  const path = projectPath(id, "sources", source.name);
  const run = useMutation({
    mutationFn: () => call(projectPath(id, "sources", source.name, "run"), { method: "POST" }),
    onSuccess: changed,
    onError: tellError,
  });
  const pause = useMutation({
    mutationFn: () => call(path, { method: "PUT", body: { source: { ...source.source, enabled: paused } } }),
    onSuccess: () => {
      changed();
      tell(paused ? `${source.name} goes on.` : `${source.name} is paused.`);
    },
    onError: tellError,
  });
  const remove = useMutation({
    mutationFn: () => call(path, { method: "DELETE" }),
    onSuccess: () => {
      changed();
      setRemoving(false);
    },
  });
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Actions for ${source.name}`}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {!isHook(source.kind) && (
            <Menu.Item onClick={() => run.mutate()} disabled={source.state.status === "running"}>
              Run now
            </Menu.Item>
          )}
          <Menu.Item onClick={onEdit}>Edit …</Menu.Item>
          <Menu.Item onClick={() => pause.mutate()}>{paused ? "Go on" : "Pause"}</Menu.Item>
          <Menu.Item onClick={() => setRemoving(true)} color="red">
            Remove …
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {removing && (
        <Confirm
          title="Remove the source"
          action="Remove the source"
          pending={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate()}
          onClose={() => setRemoving(false)}
        >
          {isHook(source.kind)
            ? `What is posted to ${source.path} from then on is refused.`
            : `${source.name} fetches nothing from then on.`}{" "}
          The events that it brought stay.
        </Confirm>
      )}
    </>
  );
}
