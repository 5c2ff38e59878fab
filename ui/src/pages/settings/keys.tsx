import {
  ActionIcon,
  Badge,
  Button,
  Group,
  Menu,
  Modal,
  SegmentedControl,
  Select,
  Stack,
  Table,
  Text,
  TextInput,
} from "@mantine/core";
import { IconDots } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, projectPath } from "../../api/client";
import { atLeast } from "../../api/me";
import type { Key } from "../../api/types";
import { Confirm } from "../../components/confirm";
import { NeedsRole } from "../../components/needs-role";
import { ShownOnce } from "../../components/shown-once";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { Over, TableHead, WideTable } from "../../components/wide-table";
import { moment } from "../../format";
import { useProject } from "../../state/url";
import { Section } from "./section";

type Made = Key & { key: string };

const ROLES = {
  write: "Sends events; apps hold it, and it may be public.",
  read: "Asks questions and reads what is stored.",
  admin: "Does everything in the project.",
};

/** What sends and what reads: keys of apps, scripts and servers. */
export function KeysTab() {
  const project = useProject();
  const may = atLeast(project.role, "admin");
  const keys = useQuery({
    queryKey: ["keys", project.id],
    queryFn: () => call<Key[]>(projectPath(project.id, "keys")),
    enabled: may,
  });
  const [making, setMaking] = useState(false);
  if (!may)
    return (
      <NeedsRole
        needed="admin"
        role={project.role}
        what="Keys open the project to apps and scripts, so admins alone see and make them."
      />
    );
  return (
    <Section
      title="Keys"
      about="Apps send with a write key; scripts and other servers ask with a read key. People sign in instead."
      action={<Button onClick={() => setMaking(true)}>New key</Button>}
    >
      {keys.error ? (
        <ErrorNote error={keys.error} onRetry={() => void keys.refetch()} />
      ) : !keys.data ? (
        <RowsSkeleton rows={4} />
      ) : keys.data.length === 0 ? (
        <Empty title="There is no key">Make a write key, so that an app can send.</Empty>
      ) : (
        <KeyTable keys={keys.data} />
      )}
      {making && <NewKey onClose={() => setMaking(false)} />}
    </Section>
  );
}

function KeyTable({ keys }: { keys: Key[] }) {
  const [all, setAll] = useState(false);
  const over = (key: Key) => Boolean(key.revoked_at) && Date.parse(String(key.revoked_at)) <= Date.now();
  const shown = all ? keys : keys.filter((key) => !over(key));
  const hidden = keys.filter(over).length;
  return (
    <>
      <WideTable label="Keys" minWidth={640}>
        <TableHead columns={["Name", "Role", "Key", "Made", "State"]} actions={48} />
        <Table.Tbody>
          {shown.map((key) => (
            <KeyRow key={key.id} item={key} over={over(key)} />
          ))}
        </Table.Tbody>
      </WideTable>
      <Over
        count={hidden}
        shown={all}
        onChange={setAll}
        hide="Hide revoked keys"
        show={`Show ${hidden} revoked ${hidden === 1 ? "key" : "keys"}`}
      />
    </>
  );
}

function KeyRow({ item, over }: { item: Key; over: boolean }) {
  const project = useProject();
  const [ending, setEnding] = useState<"rotate" | "revoke" | null>(null);
  const when = (at: string | null | undefined) => (at ? moment(at, project.zone) : "");
  return (
    <Table.Tr>
      <Table.Td maw={240}>
        <Text truncate title={item.name} c={item.name ? "inherit" : "dimmed"} dir="auto">
          {item.name || "no name"}
        </Text>
      </Table.Td>
      <Table.Td>
        <Badge variant="default" tt="none" fw={500}>
          {item.role}
        </Badge>
      </Table.Td>
      <Table.Td ff="monospace" fz="sm">
        {item.prefix}…{item.last_four}
      </Table.Td>
      <Table.Td className="number">{when(item.created_at)}</Table.Td>
      <Table.Td c={item.revoked_at ? "dimmed" : "inherit"}>
        {over ? `revoked ${when(item.revoked_at)}` : item.revoked_at ? `works until ${when(item.revoked_at)}` : "works"}
      </Table.Td>
      <Table.Td>
        {!over && (
          <Menu position="bottom-end">
            <Menu.Target>
              <ActionIcon
                variant="subtle"
                color="gray"
                size="lg"
                aria-label={`Actions for ${item.name || item.prefix}`}
              >
                <IconDots size={18} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              {!item.revoked_at && <Menu.Item onClick={() => setEnding("rotate")}>Rotate …</Menu.Item>}
              <Menu.Item onClick={() => setEnding("revoke")} color="red">
                Revoke …
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        )}
        {ending === "rotate" && <Rotate item={item} onClose={() => setEnding(null)} />}
        {ending === "revoke" && <Revoke item={item} onClose={() => setEnding(null)} />}
      </Table.Td>
    </Table.Tr>
  );
}

function useChanged() {
  const client = useQueryClient();
  const { id } = useProject();
  return () => void client.invalidateQueries({ queryKey: ["keys", id] });
}

function NewKey({ onClose }: { onClose: () => void }) {
  const { id } = useProject();
  const changed = useChanged();
  const [role, setRole] = useState<keyof typeof ROLES>("write");
  const [name, setName] = useState("");
  const make = useMutation({
    mutationFn: () => call<Made>(projectPath(id, "keys"), { method: "POST", body: { role, name } }),
    onSuccess: changed,
  });
  return (
    <Modal opened onClose={onClose} title="New key" closeOnClickOutside={!make.data}>
      {make.data ? (
        <ShownOnce
          text={make.data.key}
          about={`The ${make.data.role} key${make.data.name ? ` ${make.data.name}` : ""}:`}
          onDone={onClose}
        />
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            make.mutate();
          }}
        >
          <Stack gap="md">
            <div>
              <SegmentedControl
                fullWidth
                data={Object.keys(ROLES)}
                value={role}
                onChange={(next) => setRole(next as keyof typeof ROLES)}
                aria-label="Role"
              />
              <Text size="sm" c="dimmed" mt="xs">
                {ROLES[role]}
              </Text>
            </div>
            <TextInput
              label="Name"
              description="Who uses it, so that you know it again."
              placeholder="iOS app"
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              data-autofocus
            />
            {make.isError && <ErrorNote error={make.error} />}
            <Group justify="flex-end">
              <Button type="submit" loading={make.isPending}>
                Make the key
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}

const GRACE = [
  { value: "0", label: "It stops at once" },
  { value: "1", label: "It works for another hour" },
  { value: "24", label: "It works for another day" },
  { value: "168", label: "It works for another week" },
  { value: "720", label: "It works for another 30 days" },
];

function Rotate({ item, onClose }: { item: Key; onClose: () => void }) {
  const { id } = useProject();
  const changed = useChanged();
  const [grace, setGrace] = useState("24");
  const rotate = useMutation({
    mutationFn: () =>
      call<Made>(projectPath(id, "keys", item.id, "rotate"), { method: "POST", body: { grace_hours: Number(grace) } }),
    onSuccess: changed,
  });
  return (
    <Modal opened onClose={onClose} title="Change the key for a new one" closeOnClickOutside={!rotate.data}>
      {rotate.data ? (
        <ShownOnce
          text={rotate.data.key}
          about="The new key, with the role and the name of the old one:"
          onDone={onClose}
        />
      ) : (
        <Stack gap="md">
          <Text>
            The new key has the same role and name. Put it where {item.prefix}…{item.last_four} is used before that one
            stops.
          </Text>
          <Select
            label="The old key"
            data={GRACE}
            value={grace}
            onChange={(next) => setGrace(next ?? "0")}
            allowDeselect={false}
          />
          {rotate.isError && <ErrorNote error={rotate.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button loading={rotate.isPending} onClick={() => rotate.mutate()}>
              Rotate the key
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

function Revoke({ item, onClose }: { item: Key; onClose: () => void }) {
  const { id } = useProject();
  const changed = useChanged();
  const revoke = useMutation({
    mutationFn: () =>
      call<Key>(projectPath(id, "keys", item.id, "revoke"), { method: "POST", body: { grace_hours: 0 } }),
    onSuccess: () => {
      changed();
      onClose();
    },
  });
  return (
    <Confirm
      title="Revoke the key"
      action="Revoke the key"
      pending={revoke.isPending}
      error={revoke.error}
      onConfirm={() => revoke.mutate()}
      onClose={onClose}
    >
      Within seconds {item.prefix}…{item.last_four} {item.name ? `(${item.name}) ` : ""}is refused, and stays so.{" "}
      {item.role === "write"
        ? "What apps send with it from then on is not stored."
        : "Whoever asks with it is refused."}{" "}
      To change it without a gap, rotate it instead.
    </Confirm>
  );
}
