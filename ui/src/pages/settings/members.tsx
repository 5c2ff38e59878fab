import { ActionIcon, Button, Select, Table, Text } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { call, projectPath } from "../../api/client";
import { atLeast, type Role, useBecome, useMe } from "../../api/me";
import { Confirm } from "../../components/confirm";
import { NeedsRole } from "../../components/needs-role";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { tellError } from "../../components/tell";
import { WideTable } from "../../components/wide-table";
import { moment } from "../../format";
import { useProject } from "../../state/url";
import { Invitations, Invite } from "./invitations";
import { ROLE_WORDS, rolesToGive } from "./roles";
import { Section } from "./section";

export interface Member {
  id: string;
  email: string;
  name: string;
  role: Role;
  since: string;
  disabled: boolean;
}

/** Who may do what in the project, and who is invited. */
export function MembersTab() {
  const project = useProject();
  const may = atLeast(project.role, "admin");
  const members = useQuery({
    queryKey: ["members", project.id],
    queryFn: () => call<Member[]>(projectPath(project.id, "members")),
    enabled: may,
  });
  const [inviting, setInviting] = useState(false);
  if (!may)
    return (
      <NeedsRole
        needed="admin"
        role={project.role}
        what="Admins see who else is in the project, and invite further people."
      />
    );
  return (
    <>
      <Section
        title="Members"
        about={(Object.keys(ROLE_WORDS) as Role[]).map((role) => (
          <div key={role}>
            <Text span fw={500} c="var(--ink)">
              {role}
            </Text>{" "}
            {ROLE_WORDS[role]}
          </div>
        ))}
        action={<Button onClick={() => setInviting(true)}>Invite</Button>}
      >
        {members.error ? (
          <ErrorNote error={members.error} onRetry={() => void members.refetch()} />
        ) : !members.data ? (
          <RowsSkeleton rows={4} />
        ) : members.data.length === 0 ? (
          <Empty title="Nobody is a member yet">
            Owners of the server enter every project. Invite others by a link.
          </Empty>
        ) : (
          <MemberTable members={members.data} />
        )}
      </Section>
      <Invitations />
      {inviting && <Invite onClose={() => setInviting(false)} />}
    </>
  );
}

function MemberTable({ members }: { members: Member[] }) {
  return (
    <WideTable label="Members" minWidth={560}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Person</Table.Th>
          <Table.Th w={160}>Role</Table.Th>
          <Table.Th>Since</Table.Th>
          <Table.Th w={48} aria-label="Actions" />
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {members.map((member) => (
          <MemberRow key={member.id} member={member} owners={members.filter(({ role }) => role === "owner").length} />
        ))}
      </Table.Tbody>
    </WideTable>
  );
}

function MemberRow({ member, owners }: { member: Member; owners: number }) {
  const project = useProject();
  const { data: me } = useMe();
  const client = useQueryClient();
  const become = useBecome();
  const go = useNavigate();
  const [removing, setRemoving] = useState(false);
  const mine = me?.user?.id === member.id;
  const path = projectPath(project.id, "members", member.id);
  const changed = () => client.invalidateQueries({ queryKey: ["members", project.id] });
  const change = useMutation({
    mutationFn: (role: string) => call(path, { method: "PUT", body: { role } }),
    onSuccess: () => Promise.all([changed(), mine ? client.invalidateQueries({ queryKey: ["me"] }) : null]),
    onError: tellError,
  });
  const remove = useMutation({
    mutationFn: () => call(path, { method: "DELETE" }),
    onSuccess: async () => {
      if (!mine) return changed();
      await become();
      go("/projects", { replace: true });
    },
  });
  const last = member.role === "owner" && owners === 1;
  const fixed = last || (member.role === "owner" && !atLeast(project.role, "owner"));
  return (
    <Table.Tr>
      <Table.Td maw={320}>
        <Text fw={500} truncate dir="auto" title={member.name}>
          {member.name || member.email}
          {mine ? " (you)" : ""}
        </Text>
        <Text size="sm" c="dimmed" truncate title={member.email}>
          {member.email}
          {member.disabled ? ", cannot sign in" : ""}
        </Text>
      </Table.Td>
      <Table.Td>
        <Select
          aria-label={`Role of ${member.email}`}
          data={fixed ? [member.role] : rolesToGive(project.role)}
          value={change.isPending ? (change.variables as string) : member.role}
          onChange={(role) => role && role !== member.role && change.mutate(role)}
          disabled={fixed}
          title={
            last
              ? "The project needs an owner: make somebody else one first."
              : fixed
                ? "Only an owner changes owners."
                : ""
          }
          allowDeselect={false}
        />
      </Table.Td>
      <Table.Td className="number">
        {moment(member.since, project.zone, { hour: undefined, minute: undefined })}
      </Table.Td>
      <Table.Td>
        {!fixed && (
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={mine ? "Leave the project" : `Remove ${member.email}`}
            onClick={() => setRemoving(true)}
          >
            <IconX size={18} />
          </ActionIcon>
        )}
        {removing && (
          <Confirm
            title={mine ? "Leave the project" : "Remove the member"}
            action={mine ? "Leave" : "Remove"}
            pending={remove.isPending}
            error={remove.error}
            onConfirm={() => remove.mutate()}
            onClose={() => setRemoving(false)}
          >
            {mine ? "You lose" : `${member.name || member.email} loses`} the way into {project.name} at once. What was
            saved stays.
          </Confirm>
        )}
      </Table.Td>
    </Table.Tr>
  );
}
