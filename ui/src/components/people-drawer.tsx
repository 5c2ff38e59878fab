/** The people behind a row of an answer, page by page. */

import { Anchor, Button, Drawer, Group, Stack, Table, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconDownload } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { call, download, projectPath } from "../api/client";
import type { Answer, KnownPerson, People, Question, Row } from "../api/types";
import { ago, moment, whole } from "../format";
import { useProject } from "../state/url";
import { fileName, saveFile } from "./files";
import { Empty, ErrorNote, RowsSkeleton } from "./states";

const PAGE = 100;

export interface Behind {
  row: Row;
  /** What the row is, in words. */
  title: string;
}

export function PeopleDrawer({
  project,
  answer,
  behind,
  onClose,
}: {
  project: string;
  answer: Answer;
  behind: Behind | null;
  onClose: () => void;
}) {
  return (
    <Drawer
      opened={behind !== null}
      onClose={onClose}
      position="right"
      size="lg"
      title={behind?.title ?? ""}
      padding="md"
    >
      {behind && <PeopleOf project={project} answer={answer} behind={behind} />}
    </Drawer>
  );
}

/** The question of an answer, kept to the answer's range however late somebody asks further. */
export function questionOf(answer: Answer): Question {
  const { last: _last, ...question } = answer.receipt.question as Question;
  const window = answer.receipt.window as { from: string; to: string } | null;
  return window
    ? { ...question, kind: answer.kind, date_from: window.from, date_to: window.to }
    : { ...question, kind: answer.kind };
}

function PeopleOf({ project, answer, behind }: { project: string; answer: Answer; behind: Behind }) {
  const { zone } = useProject();
  const [saving, setSaving] = useState(false);
  const asked = { question: questionOf(answer), row: behind.row };
  const found = useInfiniteQuery({
    queryKey: ["people-behind", project, asked],
    queryFn: ({ pageParam, signal }) =>
      call<People>(projectPath(project, "people"), {
        method: "POST",
        body: { ...asked, limit: PAGE, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (page) => page.next || undefined,
    staleTime: 30_000,
  });
  async function save() {
    setSaving(true);
    try {
      const file = await download(projectPath(project, "people"), {
        method: "POST",
        body: asked,
        query: { format: "csv" },
      });
      saveFile(file, fileName(`people ${behind.title}`, "csv"));
    } catch (error) {
      notifications.show({
        color: "red",
        title: "The file could not be made.",
        message: error instanceof Error ? error.message : String(error),
      });
    } finally {
      setSaving(false);
    }
  }
  if (found.isPending) return <RowsSkeleton />;
  if (found.error && !found.data) return <ErrorNote error={found.error} onRetry={() => void found.refetch()} />;
  const total = found.data?.pages[0]?.total ?? 0;
  const people = found.data?.pages.flatMap((page) => page.people) ?? [];
  if (!total) return <Empty title="Nobody">No person is behind this number.</Empty>;
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Text>{total === 1 ? "1 person" : `${whole(total)} people`}</Text>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconDownload size={16} />}
          loading={saving}
          onClick={() => void save()}
        >
          All as CSV
        </Button>
      </Group>
      <Table stickyHeader verticalSpacing={6} horizontalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Person</Table.Th>
            <Table.Th>Last seen</Table.Th>
            <Table.Th ta="right">Events</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {people.map((person) => (
            <Table.Tr key={person.distinct_id}>
              <Table.Td style={{ overflowWrap: "anywhere" }}>
                <Anchor
                  component={Link}
                  to={`/p/${encodeURIComponent(project)}/people/${encodeURIComponent(person.distinct_id)}`}
                >
                  {nameOf(person)}
                </Anchor>
                {nameOf(person) !== person.distinct_id && (
                  <Text size="xs" c="dimmed">
                    {person.distinct_id}
                  </Text>
                )}
              </Table.Td>
              <Table.Td title={person.last_seen ? moment(person.last_seen, zone) : ""}>
                {person.last_seen ? ago(person.last_seen) : "–"}
              </Table.Td>
              <Table.Td ta="right">{whole(person.events)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {found.error && <ErrorNote error={found.error} onRetry={() => void found.fetchNextPage()} />}
      {found.hasNextPage && (
        <Button variant="default" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
          Show the next {PAGE}
        </Button>
      )}
    </Stack>
  );
}

/** A person's name or address, where one was told. */
function nameOf(person: KnownPerson): string {
  const { name, email } = person.properties as Record<string, unknown>;
  if (typeof name === "string" && name.trim()) return name;
  return typeof email === "string" && email ? email : person.distinct_id;
}
