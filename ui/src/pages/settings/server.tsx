import { ActionIcon, Badge, Group, Menu, Modal, Table, Text } from "@mantine/core";
import { IconDots } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { call } from "../../api/client";
import { type Role, useMe } from "../../api/me";
import { ShownOnce } from "../../components/shown-once";
import { ErrorNote, RowsSkeleton } from "../../components/states";
import { tellError } from "../../components/tell";
import { WideTable } from "../../components/wide-table";
import { ago, MISSING, moment } from "../../format";
import { useProject } from "../../state/url";
import { linkOf } from "./invitations";
import { Section } from "./section";

interface Account {
  id: string;
  email: string;
  name: string;
  owner: boolean;
  disabled: boolean;
  created_at: string | null;
  seen_at: string | null;
  roles: Record<string, Role>;
}

const path = (...parts: string[]) => ["/api/v1/users", ...parts.map(encodeURIComponent)].join("/");

/** All accounts of the server; its owners alone come here. */
export function ServerTab() {
  const { data: me } = useMe();
  const users = useQuery({ queryKey: ["users"], queryFn: () => call<Account[]>(path()) });
  return (
    <Section
      title="Accounts"
      about={`Everybody who signs in to this server, which runs Almanac ${me?.version ?? ""}. New accounts are made by invitations to a project.`}
    >
      {users.error ? (
        <ErrorNote error={users.error} onRetry={() => void users.refetch()} />
      ) : !users.data ? (
        <RowsSkeleton rows={4} />
      ) : (
        <WideTable label="Accounts" minWidth={640}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Person</Table.Th>
              <Table.Th>Projects</Table.Th>
              <Table.Th>Last here</Table.Th>
              <Table.Th w={48} aria-label="Actions" />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {users.data.map((user) => (
              <UserRow key={user.id} user={user} />
            ))}
          </Table.Tbody>
        </WideTable>
      )}
    </Section>
  );
}

function UserRow({ user }: { user: Account }) {
  const { zone } = useProject();
  const { data: me } = useMe();
  const client = useQueryClient();
  const change = useMutation({
    mutationFn: (body: { owner?: boolean; disabled?: boolean }) => call(path(user.id), { method: "PATCH", body }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["users"] }),
    onError: tellError,
  });
  const reset = useMutation({
    mutationFn: () => call<{ token: string; expires_at: string }>(path(user.id, "reset"), { method: "POST" }),
    onError: tellError,
  });
  const roles = Object.entries(user.roles);
  const named = (id: string) => me?.projects.find((one) => one.id === id)?.name ?? id;
  return (
    <Table.Tr>
      <Table.Td maw={320}>
        <Group gap="sm" wrap="nowrap">
          <Text fw={500} truncate dir="auto" title={user.name}>
            {user.name || user.email}
          </Text>
          {user.owner && (
            <Badge variant="default" tt="none" fw={500} style={{ flexShrink: 0 }}>
              server’s owner
            </Badge>
          )}
          {user.disabled && (
            <Badge variant="light" color="red" tt="none" fw={500} style={{ flexShrink: 0 }}>
              disabled
            </Badge>
          )}
        </Group>
        <Text size="sm" c="dimmed" truncate title={user.email}>
          {user.email}
        </Text>
      </Table.Td>
      <Table.Td maw={280}>
        <Text truncate title={roles.map(([id, role]) => `${named(id)}: ${role}`).join("\n")}>
          {roles.length === 0 ? MISSING : roles.map(([id, role]) => `${named(id)} (${role})`).join(", ")}
        </Text>
      </Table.Td>
      <Table.Td title={user.seen_at ? moment(user.seen_at, zone) : ""}>
        {user.seen_at ? ago(user.seen_at) : "not lately"}
      </Table.Td>
      <Table.Td>
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              aria-label={`Actions for ${user.email}`}
              loading={change.isPending || reset.isPending}
            >
              <IconDots size={18} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => reset.mutate()} disabled={user.disabled}>
              Make a link for a new password
            </Menu.Item>
            <Menu.Item onClick={() => change.mutate({ owner: !user.owner })}>
              {user.owner ? "No longer owner of the server" : "Make owner of the server"}
            </Menu.Item>
            <Menu.Item
              onClick={() => change.mutate({ disabled: !user.disabled })}
              {...(user.disabled ? {} : { color: "red" })}
            >
              {user.disabled ? "Let sign in again" : "Disable: ends all sessions"}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
        {reset.data && (
          <Modal opened onClose={reset.reset} title="A link for a new password" closeOnClickOutside={false}>
            <ShownOnce
              text={linkOf("reset", reset.data.token)}
              about={`Send this link to ${user.email}. It is good once, until ${moment(reset.data.expires_at, zone)}; until then the old password works.`}
              onDone={reset.reset}
            />
          </Modal>
        )}
      </Table.Td>
    </Table.Tr>
  );
}
