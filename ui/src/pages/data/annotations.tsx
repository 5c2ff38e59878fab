import { Select, Stack, Text, TextInput } from "@mantine/core";
import { useDefinitions } from "../../api/catalog";
import { useProject } from "../../state/url";
import { Definitions } from "./definitions";
import type { FormProps } from "./editor";

/** Flags on charts: what happened, and when. */
export function AnnotationsTab() {
  return (
    <Definitions
      kind="annotation"
      noun="annotation"
      fresh={{ at: new Date().toISOString().slice(0, 10), text: "" }}
      form={AnnotationForm}
      hint={({ body }) => [String(body.at ?? ""), body.board ? `on ${body.board}` : ""].filter(Boolean).join(", ")}
      teaches="An annotation is a flag on every chart over time: a release, an outage, a campaign, so that whoever sees a step in a line also sees why. Make one here, or by a click on a point of a chart."
    />
  );
}

function AnnotationForm({ value, onChange, fault }: FormProps) {
  const { id, zone } = useProject();
  const boards = useDefinitions(id, "board");
  const set = (name: string, next: string | null) => onChange({ ...value, [name]: next ?? "" });
  const wrong = (name: string) => (fault?.place === name ? fault.message : null);
  return (
    <Stack gap="md">
      <TextInput
        label="What happened"
        description="It stands on the charts; left empty, the name does."
        maxLength={200}
        value={String(value.text ?? "")}
        onChange={(event) => set("text", event.currentTarget.value)}
        error={wrong("text")}
        dir="auto"
      />
      <TextInput
        label="When"
        description={`A date, or an instant such as 2026-01-31T12:00; in ${zone} unless it carries an offset.`}
        required
        maxLength={50}
        value={String(value.at ?? "")}
        onChange={(event) => set("at", event.currentTarget.value)}
        error={wrong("at")}
      />
      <Select
        label="Board"
        description="On its charts alone; left empty, on all charts of the project."
        data={[...new Set([...(boards.data ?? []).map((one) => one.name), String(value.board ?? "")])].filter(Boolean)}
        value={value.board ? String(value.board) : null}
        onChange={(next) => set("board", next)}
        error={wrong("board")}
        searchable
        clearable
      />
      <Text size="sm" c="dimmed">
        Those who hold a link to a board see the flags of that board alone.
      </Text>
    </Stack>
  );
}
