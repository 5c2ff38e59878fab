import { Button, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, projectPath } from "../../api/client";
import { atLeast } from "../../api/me";
import type { Person } from "../../api/types";
import { Confirm } from "../../components/confirm";
import { tell } from "../../components/tell";
import { moment } from "../../format";
import { useProject } from "../../state/url";

interface Edge {
  edge: string;
  source: string;
  target: string;
  how: string;
  at: string;
  state: "in force" | "refused" | "undone";
}

const STATES: Record<Edge["state"], string> = {
  "in force": "in force",
  refused: "refused: both were known people",
  undone: "undone",
};

/** What made several ids one person; admins take a merge back and make it count again. */
export function Merges({ person }: { person: Person }) {
  const project = useProject();
  const edges = person.edges as unknown as Edge[];
  if (edges.length === 0) return null;
  const may = atLeast(project.role, "admin");
  return (
    <Paper component="section" aria-label="Merges" p="md" bg="var(--surface)">
      <Title order={3} mb="sm">
        Merges
      </Title>
      <Stack gap="md">
        {edges.map((edge) => (
          <Merge key={edge.edge} edge={edge} may={may} />
        ))}
      </Stack>
      {!may && (
        <Text size="sm" c="dimmed" mt="sm">
          An admin of the project can undo a merge.
        </Text>
      )}
    </Paper>
  );
}

function Merge({ edge, may }: { edge: Edge; may: boolean }) {
  const project = useProject();
  const client = useQueryClient();
  const [asked, setAsked] = useState(false);
  const undone = edge.state === "undone";
  const change = useMutation({
    mutationFn: () => call(projectPath(project.id, "merges", edge.edge, undone ? "redo" : "undo"), { method: "POST" }),
    onSuccess: async () => {
      setAsked(false);
      await Promise.all(
        ["person", "people", "answer"].map((key) => client.invalidateQueries({ queryKey: [key, project.id] })),
      );
      tell(undone ? "The merge counts again." : "The merge is undone; it can be redone here.");
    },
  });
  return (
    <div>
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
        {edge.source} → {edge.target}
      </Text>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Text size="sm" c="dimmed">
          {edge.how}, {moment(edge.at, project.zone)}, {STATES[edge.state] ?? edge.state}
        </Text>
        {may && edge.state !== "refused" && (
          <Button size="xs" variant="default" onClick={() => setAsked(true)} style={{ flexShrink: 0 }}>
            {undone ? "Redo" : "Undo"}
          </Button>
        )}
      </Group>
      {asked && (
        <Confirm
          title={undone ? "Redo the merge" : "Undo the merge"}
          action={undone ? "Redo the merge" : "Undo the merge"}
          pending={change.isPending}
          error={change.error}
          onConfirm={() => change.mutate()}
          onClose={() => setAsked(false)}
        >
          {undone
            ? "Questions read the two ids as one person again."
            : "From now on questions read two people, where they do not meet by other merges. No event is moved or lost, and the merge can be redone."}
        </Confirm>
      )}
    </div>
  );
}
