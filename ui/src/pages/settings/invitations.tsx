import { Button, Group, Modal, NumberInput, Stack, Table, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, projectPath } from "../../api/client";
import type { Role } from "../../api/me";
import { ShownOnce } from "../../components/shown-once";
import { ErrorNote, RowsSkeleton } from "../../components/states";
import { tellError } from "../../components/tell";
import { Over, TableHead, WideTable } from "../../components/wide-table";
import { moment } from "../../format";
import { useProject } from "../../state/url";
import { RoleChoice } from "./roles";
import { Section } from "./section";

interface Invitation {
  id: string;
  email: string;
  role: Role;
  author: string;
  created_at: string;
  expires_at: string;
  used_at: string | null;
  revoked_at: string | null;
}

/** The address under which a token of the server opens this app. */
export function linkOf(place: "join" | "reset", token: string): string {
  return `${window.location.origin}${import.meta.env.BASE_URL}${place}/${encodeURIComponent(token)}`;
}

/** Invitations that are still open; used and old ones on demand. */
export function Invitations() {
  const project = useProject();
  const client = useQueryClient();
  const key = ["invitations", project.id];
  const [all, setAll] = useState(false);
  const list = useQuery({ queryKey: key, queryFn: () => call<Invitation[]>(projectPath(project.id, "invitations")) });
  const revoke = useMutation({
    mutationFn: (id: string) => call(projectPath(project.id, "invitations", id), { method: "DELETE" }),
    onSuccess: () => client.invalidateQueries({ queryKey: key }),
    onError: tellError,
  });
  if (list.error) return <ErrorNote error={list.error} onRetry={() => void list.refetch()} />;
  if (!list.data) return <RowsSkeleton rows={2} />;
  if (list.data.length === 0) return null;
  const open = (one: Invitation) => !one.used_at && !one.revoked_at && Date.parse(one.expires_at) > Date.now();
  const shown = all ? list.data : list.data.filter(open);
  const others = list.data.filter((one) => !open(one)).length;
  const day = (at: string) => moment(at, project.zone);
  const state = (one: Invitation) =>
    one.used_at
      ? `joined ${day(one.used_at)}`
      : one.revoked_at
        ? `revoked ${day(one.revoked_at)}`
        : Date.parse(one.expires_at) > Date.now()
          ? `open until ${day(one.expires_at)}`
          : `over since ${day(one.expires_at)}`;
  return (
    <Section title="Invitations">
      {shown.length === 0 ? (
        <Text c="dimmed">No invitation is open.</Text>
      ) : (
        <WideTable label="Invitations" minWidth={560}>
          <TableHead columns={["Email", "Role", "By", "State"]} actions={96} />
          <Table.Tbody>
            {shown.map((one) => (
              <Table.Tr key={one.id}>
                <Table.Td maw={280}>
                  <Text truncate title={one.email}>
                    {one.email}
                  </Text>
                </Table.Td>
                <Table.Td>{one.role}</Table.Td>
                <Table.Td maw={200}>
                  <Text truncate title={one.author}>
                    {one.author}
                  </Text>
                </Table.Td>
                <Table.Td className="number">{state(one)}</Table.Td>
                <Table.Td ta="right">
                  {open(one) && (
                    <Button
                      size="xs"
                      variant="default"
                      onClick={() => revoke.mutate(one.id)}
                      loading={revoke.isPending && revoke.variables === one.id}
                    >
                      Revoke
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </WideTable>
      )}
      <Over
        count={others}
        shown={all}
        onChange={setAll}
        hide="Hide those that are over"
        show={`Show ${others} that ${others === 1 ? "is" : "are"} over`}
      />
    </Section>
  );
}

/** Makes a link that lets one person in. */
export function Invite({ onClose }: { onClose: () => void }) {
  const project = useProject();
  const client = useQueryClient();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [days, setDays] = useState<number>(7);
  const make = useMutation({
    mutationFn: () =>
      call<Invitation & { token: string }>(projectPath(project.id, "invitations"), {
        method: "POST",
        body: { email, role, days },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["invitations", project.id] }),
  });
  return (
    <Modal opened onClose={onClose} title="Invite somebody" closeOnClickOutside={!make.data}>
      {make.data ? (
        <ShownOnce
          text={linkOf("join", make.data.token)}
          about={`Send this link to ${make.data.email}. It is good once, until ${moment(make.data.expires_at, project.zone)}.`}
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
            <TextInput
              label="Email"
              type="email"
              required
              value={email}
              onChange={(event) => setEmail(event.currentTarget.value)}
              data-autofocus
            />
            <RoleChoice value={role} onChange={setRole} />
            <NumberInput
              label="Good for"
              suffix={days === 1 ? " day" : " days"}
              min={1}
              max={90}
              allowDecimal={false}
              value={days}
              onChange={(next) => setDays(Number(next) || 1)}
            />
            {make.isError && <ErrorNote error={make.error} />}
            <Group justify="flex-end">
              <Button type="submit" loading={make.isPending}>
                Make the link
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}
