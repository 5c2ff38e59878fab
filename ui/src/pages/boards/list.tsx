import {
  ActionIcon,
  Button,
  Group,
  Menu,
  Modal,
  Paper,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { IconCopy, IconDots, IconSearch, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { useDefinitions, useEventNames, useRemoveDefinition, useSaveDefinition } from "../../api/catalog";
import { atLeast } from "../../api/me";
import type { Definition } from "../../api/types";
import { Empty, ErrorNote, PageHead, RowsSkeleton } from "../../components/states";
import { ago } from "../../format";
import { useProject } from "../../state/url";
import { type Board, boardOf } from "./model";
import { TEMPLATES } from "./templates";

/** All boards of the project. */
export function Component() {
  const project = useProject();
  const boards = useDefinitions(project.id, "board");
  const [search, setSearch] = useState("");
  const [making, setMaking] = useState(false);
  const may = atLeast(project.role, "analyst");
  if (boards.isError) return <ErrorNote error={boards.error} onRetry={() => void boards.refetch()} page />;
  const wanted = search.trim().toLowerCase();
  const found = (boards.data ?? []).filter((one) =>
    `${one.name} ${one.body.title ?? ""}`.toLowerCase().includes(wanted),
  );
  const taken = (boards.data ?? []).map((one) => one.name);
  const make = may ? <Button onClick={() => setMaking(true)}>New board</Button> : null;
  return (
    <>
      <PageHead title="Boards" about="Answers side by side, kept up to date, to look at together.">
        {make}
      </PageHead>
      {!boards.data && <RowsSkeleton />}
      {boards.data?.length === 0 && (
        <Empty title="There is no board yet" action={make}>
          {may
            ? "Begin with a template, or with an empty board and a first question."
            : "Analysts, admins and owners of this project make them."}
        </Empty>
      )}
      {boards.data && boards.data.length > 0 && (
        <Stack gap="md">
          <TextInput
            aria-label="Search boards"
            placeholder="Search"
            leftSection={<IconSearch size={16} aria-hidden />}
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
            maw={320}
          />
          {found.length === 0 && <Text c="dimmed">No board has “{search.trim()}” in its name.</Text>}
          <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="md">
            {found.map((one) => (
              <Card key={one.name} board={one} may={may} taken={taken} />
            ))}
          </SimpleGrid>
        </Stack>
      )}
      <NewBoard opened={making} onClose={() => setMaking(false)} taken={taken} />
    </>
  );
}

function Card({ board, may, taken }: { board: Definition; may: boolean; taken: string[] }) {
  const project = useProject();
  const remove = useRemoveDefinition(project.id, "board");
  const save = useSaveDefinition(project.id, "board");
  const [removing, setRemoving] = useState(false);
  const body = boardOf(board.body);
  const copy = () => {
    const name = free(`${board.name} (copy)`, taken);
    save.mutate({ name, body: { ...body, title: name }, expected: 0 });
  };
  return (
    <Paper p="md" bg="var(--surface)" pos="relative">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Title order={2} style={{ overflowWrap: "anywhere" }}>
            <Link to={encodeURIComponent(board.name)} style={{ color: "inherit", textDecoration: "none" }}>
              {body.title || board.name}
            </Link>
          </Title>
          <Text c="dimmed" lineClamp={2}>
            {body.description}
          </Text>
          <Text size="sm" c="dimmed" mt="xs">
            {body.tiles.length === 1 ? "1 tile" : `${body.tiles.length} tiles`} · saved {ago(board.saved_at)} by{" "}
            {board.author}
          </Text>
        </div>
        {may && (
          <Menu position="bottom-end">
            <Menu.Target>
              <ActionIcon variant="subtle" color="gray" aria-label={`More about ${body.title || board.name}`}>
                <IconDots size={18} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item leftSection={<IconCopy size={16} />} onClick={copy}>
                Duplicate
              </Menu.Item>
              <Menu.Item leftSection={<IconTrash size={16} />} color="red" onClick={() => setRemoving(true)}>
                Remove …
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        )}
      </Group>
      {save.isError && <ErrorNote error={save.error} />}
      <Modal opened={removing} onClose={() => setRemoving(false)} title={`Remove “${body.title || board.name}”?`}>
        <Stack gap="md">
          <Text>
            Its {body.tiles.length === 1 ? "tile goes" : `${body.tiles.length} tiles go`} with it, and its links stop.
            No event and no saved question is lost, and its history stays: saved again under the same name, it comes
            back.
          </Text>
          {remove.isError && <ErrorNote error={remove.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setRemoving(false)}>
              Cancel
            </Button>
            <Button
              color="red"
              loading={remove.isPending}
              onClick={() => remove.mutate(board.name, { onSuccess: () => setRemoving(false) })}
            >
              Remove the board
            </Button>
          </Group>
        </Stack>
      </Modal>
    </Paper>
  );
}

function NewBoard({ opened, onClose, taken }: { opened: boolean; onClose: () => void; taken: string[] }) {
  const project = useProject();
  const events = useEventNames(project.id);
  const save = useSaveDefinition(project.id, "board");
  const go = useNavigate();
  const [name, setName] = useState("");
  const begin = (title: string, board: Board) => {
    const chosen = free(name.trim() || title, taken);
    save.mutate(
      { name: chosen, body: { ...board, title: chosen }, expected: 0 },
      { onSuccess: () => go(`${encodeURIComponent(chosen)}${board.tiles.length ? "" : "?edit=true"}`) },
    );
  };
  return (
    <Modal opened={opened} onClose={onClose} title="New board" size="lg">
      <Stack gap="md">
        <TextInput
          label="Name"
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
        />
        <Text fw={500}>Begin with</Text>
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
          <Choice
            title="Nothing"
            about="An empty board, for questions of your own."
            onTake={() => begin("Board", { tiles: [] })}
          />
          {TEMPLATES.map((template) => (
            <Choice
              key={template.name}
              title={template.name}
              about={template.about}
              waits={events.isPending}
              onTake={() => begin(template.name, template.make(events.data ?? []))}
            />
          ))}
        </SimpleGrid>
        {save.isError && <ErrorNote error={save.error} />}
      </Stack>
    </Modal>
  );
}

function Choice({
  title,
  about,
  waits = false,
  onTake,
}: {
  title: string;
  about: string;
  /** What it is made of is not known yet. */
  waits?: boolean;
  onTake: () => void;
}) {
  return (
    <Button
      variant="default"
      disabled={waits}
      h="auto"
      py="sm"
      onClick={onTake}
      styles={{ inner: { justifyContent: "flex-start" }, label: { whiteSpace: "normal" } }}
    >
      <Stack gap={0} ta="left">
        <Text fw={500}>{title}</Text>
        <Text size="sm" c="dimmed" fw={400}>
          {about}
        </Text>
      </Stack>
    </Button>
  );
}

/** A name that no board has yet. */
function free(name: string, taken: string[]): string {
  let chosen = name;
  for (let number = 2; taken.includes(chosen); number += 1) chosen = `${name} ${number}`;
  return chosen;
}
