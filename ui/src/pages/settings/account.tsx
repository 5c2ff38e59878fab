import {
  Button,
  Group,
  PasswordInput,
  SegmentedControl,
  Stack,
  Table,
  Text,
  TextInput,
  useMantineColorScheme,
} from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call } from "../../api/client";
import { useMe } from "../../api/me";
import { ErrorNote, RowsSkeleton } from "../../components/states";
import { tell, tellError } from "../../components/tell";
import { TableHead, WideTable } from "../../components/wide-table";
import { ago, moment } from "../../format";
import { useProject } from "../../state/url";
import { deviceOf } from "./device";
import { Section } from "./section";

/** One's own name, password, theme, and where one is signed in. */
export function AccountTab() {
  const { data: me } = useMe();
  if (!me?.user) return null;
  return (
    <>
      <Name name={me.user.name} email={me.user.email} />
      <Theme />
      <Password email={me.user.email} />
      <Sessions />
    </>
  );
}

function Name({ name, email }: { name: string; email: string }) {
  const client = useQueryClient();
  const [given, setGiven] = useState(name);
  const save = useMutation({
    mutationFn: () => call("/api/v1/me", { method: "PATCH", body: { name: given.trim() } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["me"] });
      tell("Your name is saved.");
    },
  });
  return (
    <Section title="You">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Stack gap="md" maw={440}>
          <TextInput
            label="Email"
            description="You sign in with it."
            value={email}
            readOnly
            variant="filled"
            autoComplete="username"
          />
          <TextInput
            label="Name"
            description="What others see."
            required
            maxLength={100}
            autoComplete="name"
            value={given}
            onChange={(event) => setGiven(event.currentTarget.value)}
          />
          {save.isError && <ErrorNote error={save.error} />}
          <Group>
            <Button type="submit" loading={save.isPending} disabled={given.trim() === name || given.trim() === ""}>
              Save the name
            </Button>
          </Group>
        </Stack>
      </form>
    </Section>
  );
}

function Theme() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <Section title="Theme" about="Of this browser only.">
      <SegmentedControl
        aria-label="Theme"
        data={[
          { value: "auto", label: "As the system" },
          { value: "light", label: "Light" },
          { value: "dark", label: "Dark" },
        ]}
        value={colorScheme}
        onChange={(next) => setColorScheme(next as typeof colorScheme)}
      />
    </Section>
  );
}

const NO_WORDS = { old: "", new: "" };

function Password({ email }: { email: string }) {
  const [given, setGiven] = useState(NO_WORDS);
  const client = useQueryClient();
  const save = useMutation({
    mutationFn: () => call("/api/v1/me/password", { method: "POST", body: given }),
    onSuccess: async () => {
      setGiven(NO_WORDS);
      await client.invalidateQueries({ queryKey: ["sessions"] });
      tell("The password is changed; other devices have to sign in again.");
    },
  });
  return (
    <Section title="Password" about="A new one ends your sessions on all other devices.">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Stack gap="md" maw={440}>
          <input type="hidden" name="email" value={email} autoComplete="username" />
          <PasswordInput
            label="Password until now"
            autoComplete="current-password"
            required
            value={given.old}
            onChange={(event) => setGiven({ ...given, old: event.currentTarget.value })}
          />
          <PasswordInput
            label="New password"
            description="At least 10 characters."
            autoComplete="new-password"
            required
            minLength={10}
            value={given.new}
            onChange={(event) => setGiven({ ...given, new: event.currentTarget.value })}
          />
          {save.isError && <ErrorNote error={save.error} />}
          <Group>
            <Button type="submit" loading={save.isPending} disabled={!given.old || given.new.length < 10}>
              Change the password
            </Button>
          </Group>
        </Stack>
      </form>
    </Section>
  );
}

interface Session {
  id: string;
  created_at: string;
  seen_at: string;
  expires_at: string;
  agent: string;
  current: boolean;
}

function Sessions() {
  const { zone } = useProject();
  const client = useQueryClient();
  const list = useQuery({ queryKey: ["sessions"], queryFn: () => call<Session[]>("/api/v1/me/sessions") });
  const end = useMutation({
    mutationFn: (id: string) => call(`/api/v1/me/sessions/${encodeURIComponent(id)}`, { method: "DELETE" }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["sessions"] }),
    onError: tellError,
  });
  return (
    <Section title="Sessions" about="Where you are signed in. End what you do not know, and change the password.">
      {list.error ? (
        <ErrorNote error={list.error} onRetry={() => void list.refetch()} />
      ) : !list.data ? (
        <RowsSkeleton rows={2} />
      ) : (
        <WideTable label="Sessions" minWidth={480}>
          <TableHead columns={["Device", "Signed in", "Last used"]} actions={96} />
          <Table.Tbody>
            {list.data.map((session) => (
              <Table.Tr key={session.id}>
                <Table.Td title={session.agent}>{deviceOf(session.agent)}</Table.Td>
                <Table.Td className="number">{moment(session.created_at, zone)}</Table.Td>
                <Table.Td>{ago(session.seen_at)}</Table.Td>
                <Table.Td ta="right">
                  {session.current ? (
                    <Text size="sm" c="dimmed">
                      this one
                    </Text>
                  ) : (
                    <Button
                      size="xs"
                      variant="default"
                      onClick={() => end.mutate(session.id)}
                      loading={end.isPending && end.variables === session.id}
                    >
                      End
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </WideTable>
      )}
    </Section>
  );
}
