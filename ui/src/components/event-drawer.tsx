import { ActionIcon, Anchor, Code, CopyButton, Drawer, Group, Stack, Table, Tabs, Text, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { Link } from "react-router";
import type { Row } from "../api/types";
import { moment } from "../format";
import { useProject } from "../state/url";

/** One event whole: what it says, and as JSON. */
export function EventDrawer({ event, onClose }: { event: Row | null; onClose: () => void }) {
  const project = useProject();
  return (
    <Drawer
      opened={event !== null}
      onClose={onClose}
      position="right"
      size="lg"
      title={event ? String(event.event) : ""}
    >
      {event && (
        <Stack gap="md">
          <Text c="dimmed">
            {moment(String(event.time), project.zone, { second: "2-digit", fractionalSecondDigits: 3 })}, {project.zone}
          </Text>
          {event.distinct_id ? (
            <Text style={{ overflowWrap: "anywhere" }}>
              By{" "}
              <Anchor component={Link} to={personPath(project.id, String(event.distinct_id))} onClick={onClose}>
                {String(event.distinct_id)}
              </Anchor>
            </Text>
          ) : null}
          <Tabs defaultValue="fields" keepMounted={false}>
            <Tabs.List>
              <Tabs.Tab value="fields">Fields</Tabs.Tab>
              <Tabs.Tab value="json">JSON</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="fields" pt="md">
              <Fields event={event} />
            </Tabs.Panel>
            <Tabs.Panel value="json" pt="md">
              <Json value={event} />
            </Tabs.Panel>
          </Tabs>
        </Stack>
      )}
    </Drawer>
  );
}

/** The address of a person's page. */
export function personPath(project: string, distinctId: string): string {
  return `/p/${encodeURIComponent(project)}/people/${encodeURIComponent(distinctId)}`;
}

/** A value as text, with a copy of it one click away. */
export function Json({ value }: { value: unknown }) {
  const text = JSON.stringify(value, null, 2);
  return (
    <div style={{ position: "relative" }}>
      <Code block fz="sm" tabIndex={0} style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
        {text}
      </Code>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? "Copied" : "Copy"}>
            <ActionIcon
              variant="default"
              size="lg"
              onClick={copy}
              aria-label="Copy as JSON"
              style={{ position: "absolute", top: 8, right: 8 }}
            >
              {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </div>
  );
}

const EMPTY = (value: unknown) =>
  value === "" ||
  value === null ||
  value === undefined ||
  JSON.stringify(value) === "{}" ||
  JSON.stringify(value) === "[]";

function Fields({ event }: { event: Row }) {
  const { properties, ...rest } = event;
  const own = Object.entries((properties ?? {}) as Row);
  const others = Object.entries(rest).filter(([, value]) => !EMPTY(value));
  return (
    <Stack gap="md">
      {own.length > 0 && <FieldTable title="Properties" fields={own} />}
      <FieldTable title="Everything else" fields={others} />
    </Stack>
  );
}

export function FieldTable({ title, fields }: { title?: string; fields: [string, unknown][] }) {
  return (
    <Table layout="fixed" captionSide="top">
      {title && <Table.Caption style={{ textAlign: "left" }}>{title}</Table.Caption>}
      <Table.Tbody>
        {fields.map(([name, value]) => (
          <Table.Tr key={name}>
            <Table.Th
              w="38%"
              scope="row"
              fw={500}
              c="dimmed"
              style={{ overflowWrap: "anywhere", verticalAlign: "top" }}
            >
              {name}
            </Table.Th>
            <Table.Td style={{ overflowWrap: "anywhere" }}>
              <Group gap="xs" wrap="nowrap">
                <span dir="auto">{typeof value === "string" ? value : JSON.stringify(value)}</span>
              </Group>
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
