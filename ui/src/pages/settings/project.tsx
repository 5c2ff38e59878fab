import { Button, Group, NumberInput, SegmentedControl, Select, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useNavigate } from "react-router";
import { useEventNames } from "../../api/catalog";
import { call, projectPath } from "../../api/client";
import { atLeast, useBecome } from "../../api/me";
import type { Project } from "../../api/types";
import { Confirm } from "../../components/confirm";
import { ErrorNote, RowsSkeleton } from "../../components/states";
import { tell } from "../../components/tell";
import { zones } from "../../components/zones";
import { moment, whole } from "../../format";
import { useProject } from "../../state/url";
import { Section } from "./section";

type Change = Pick<Project, "zone" | "week_start" | "retention_days" | "quota">;

const FIELDS = ["zone", "week_start", "retention_days", "quota"] as const;

/** When days begin, how long events stay, how many may come; and the end of it all. */
export function ProjectTab() {
  const { id, role } = useProject();
  const project = useQuery({ queryKey: ["project", id], queryFn: () => call<Project>(projectPath(id)) });
  if (project.error) return <ErrorNote error={project.error} onRetry={() => void project.refetch()} />;
  if (!project.data) return <RowsSkeleton rows={5} />;
  return (
    <>
      <Form project={project.data} may={atLeast(role, "admin")} />
      {atLeast(role, "owner") && <Delete project={project.data} />}
    </>
  );
}

function Form({ project, may }: { project: Project; may: boolean }) {
  const client = useQueryClient();
  const [given, setGiven] = useState<Change>(project);
  useEffect(() => setGiven(project), [project]);
  const changes = Object.fromEntries(
    FIELDS.filter((name) => given[name] !== project[name]).map((name) => [name, given[name]]),
  ) as Partial<Change>;
  const save = useMutation({
    mutationFn: () => call<Project>(projectPath(project.id), { method: "PATCH", body: changes }),
    onSuccess: async (saved) => {
      client.setQueryData(["project", project.id], saved);
      await client.invalidateQueries({ queryKey: ["me"] });
      await client.invalidateQueries({ queryKey: ["answer", project.id] });
      tell("The settings are saved.");
    },
  });
  const fewer =
    changes.retention_days !== undefined &&
    changes.retention_days > 0 &&
    (project.retention_days === 0 || changes.retention_days < project.retention_days);
  const fields = (
    <Stack gap="md" maw={440}>
      <TextInput
        label="Name"
        description={`Made ${project.created_at ? moment(project.created_at, project.zone) : "some time ago"}. The name stays.`}
        value={project.name}
        readOnly
        variant="filled"
      />
      <Select
        label="Zone"
        description="Days begin and end in this zone, on every page and in every answer."
        data={zones(project.zone, given.zone)}
        value={given.zone}
        onChange={(zone) => zone && setGiven({ ...given, zone })}
        searchable
        allowDeselect={false}
        disabled={!may}
      />
      <div>
        <Text fw={500} size="sm" mb={4} id="week-start">
          The week begins on
        </Text>
        <SegmentedControl
          aria-labelledby="week-start"
          data={[
            { value: "monday", label: "Monday" },
            { value: "sunday", label: "Sunday" },
          ]}
          value={given.week_start}
          onChange={(day) => setGiven({ ...given, week_start: day as Change["week_start"] })}
          disabled={!may}
        />
      </div>
      <NumberInput
        label="Events are kept for"
        description="Days; 0 keeps them for ever."
        suffix=" days"
        min={0}
        max={36_500}
        allowDecimal={false}
        value={given.retention_days}
        onChange={(days) => setGiven({ ...given, retention_days: Number(days) || 0 })}
        error={fewer ? `Events older than ${changes.retention_days} days will be deleted for ever.` : undefined}
        disabled={!may}
      />
      <NumberInput
        label="Most events a second"
        description="What comes beyond is refused, and senders are told to try again; 0 sets no limit."
        min={0}
        max={100_000_000}
        allowDecimal={false}
        thousandSeparator=" "
        value={given.quota}
        onChange={(quota) => setGiven({ ...given, quota: Number(quota) || 0 })}
        disabled={!may}
      />
      {save.isError && <ErrorNote error={save.error} />}
      {may && (
        <Group>
          <Button type="submit" loading={save.isPending} disabled={Object.keys(changes).length === 0}>
            Save the settings
          </Button>
        </Group>
      )}
    </Stack>
  );
  return (
    <Section title="Project" about={may ? undefined : "An admin of the project can change these."}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        {fields}
      </form>
    </Section>
  );
}

function Delete({ project }: { project: Project }) {
  const [asked, setAsked] = useState(false);
  const names = useEventNames(project.id);
  const become = useBecome();
  const go = useNavigate();
  const events = names.data?.reduce((sum, { count }) => sum + count, 0);
  const end = useMutation({
    mutationFn: () => call(projectPath(project.id), { method: "DELETE", body: { name: project.name } }),
    onSuccess: async () => {
      await become();
      go("/projects", { replace: true });
    },
  });
  return (
    <Section
      title="Delete the project"
      about="Its keys stop within seconds; its events, people, boards and everything else of it are deleted, and nothing brings them back."
      action={
        <Button color="red" variant="outline" onClick={() => setAsked(true)}>
          Delete …
        </Button>
      }
    >
      {asked && (
        <Confirm
          title={`Delete ${project.name}`}
          action="Delete for ever"
          typed={project.name}
          pending={end.isPending}
          error={end.error}
          onConfirm={() => end.mutate()}
          onClose={() => setAsked(false)}
        >
          {events === undefined ? "All its events" : `${whole(events)} ${events === 1 ? "event" : "events"}`} will be
          deleted for ever, with all people, keys, members, boards, questions, metrics and segments. There is no undo.
          To keep a copy, export the events first.
        </Confirm>
      )}
    </Section>
  );
}
