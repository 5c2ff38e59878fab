import {
  Badge,
  Button,
  Container,
  Group,
  Modal,
  Paper,
  Select,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { call } from "../../api/client";
import { useBecome, useMe } from "../../api/me";
import { FormFoot } from "../../components/form-foot";
import { Empty, ErrorNote, PageHead } from "../../components/states";
import { zones } from "../../components/zones";
import { keepKey } from "./kept-key";

const DEMO = "Demo shop";
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The projects of whoever is signed in; the server's owner makes new ones. */
export function Component() {
  const { data: me } = useMe();
  const [making, setMaking] = useState(false);
  if (!me?.user) return null;
  const may = me.user.owner;
  const demo = may && !me.projects.some((one) => one.name === DEMO) ? <DemoButton /> : null;
  const make = (
    <Button onClick={() => setMaking(true)} disabled={!may}>
      New project
    </Button>
  );
  return (
    <Container size="md" py={48} component="main">
      <PageHead
        title="Projects"
        about="A project holds the events of one product, with keys, people and boards of its own."
      >
        {demo}
        {may && make}
      </PageHead>
      {me.projects.length === 0 ? (
        <Empty title="There is no project yet" action={may ? make : undefined}>
          {may
            ? "Make one, and its page shows how to send the first event."
            : "Ask the server’s owner to invite you to one."}
        </Empty>
      ) : (
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
          {me.projects.map((project) => (
            <Paper
              key={project.id}
              p="md"
              component={Link}
              to={`/p/${encodeURIComponent(project.id)}/home`}
              td="none"
              c="var(--ink)"
              bg="var(--surface)"
            >
              <Group justify="space-between" wrap="nowrap">
                <Title order={2} style={{ overflowWrap: "anywhere" }}>
                  {project.name}
                </Title>
                <Badge variant="default" fw={500} tt="none">
                  {project.role}
                </Badge>
              </Group>
              <Text c="dimmed" size="sm">
                {project.zone}
              </Text>
            </Paper>
          ))}
        </SimpleGrid>
      )}
      <NewProject opened={making} onClose={() => setMaking(false)} />
    </Container>
  );
}

/** A shop's made-up life, for a look before anything is sent. */
function DemoButton() {
  const become = useBecome();
  const go = useNavigate();
  const load = useMutation({
    mutationFn: () => call<{ id: string }>("/api/v1/demo", { method: "POST", body: { name: DEMO } }),
    onSuccess: async (made) => {
      await become();
      go(`/p/${encodeURIComponent(made.id)}/home`);
    },
    onError: (error) => notifications.show({ color: "red", title: "There is no demo now", message: error.message }),
  });
  return (
    <Button variant="default" onClick={() => load.mutate()} loading={load.isPending}>
      Load the demo
    </Button>
  );
}

function NewProject({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const [name, setName] = useState("");
  const [zone, setZone] = useState(HERE);
  const become = useBecome();
  const go = useNavigate();
  const create = useMutation({
    mutationFn: () =>
      call<{ id: string; write_key: string }>("/api/v1/projects", { method: "POST", body: { name, zone } }),
    onSuccess: async (made) => {
      keepKey(made.id, made.write_key);
      await become();
      go(`/p/${encodeURIComponent(made.id)}/start`);
    },
  });
  return (
    <Modal opened={opened} onClose={onClose} title="New project">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <Stack gap="md">
          <TextInput
            label="Name"
            required
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            data-autofocus
          />
          <Select
            label="Zone"
            description="Days begin and end in this zone."
            data={zones(HERE)}
            value={zone}
            onChange={(value) => value && setZone(value)}
            searchable
            allowDeselect={false}
          />
          {create.isError && <ErrorNote error={create.error} />}
          <FormFoot action="Make the project" onCancel={onClose} pending={create.isPending} />
        </Stack>
      </form>
    </Modal>
  );
}
