import { SegmentedControl, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { JsonEditor } from "../../components/json-editor";
import { faultOf, lineOfPath } from "../../components/json-place";
import { asText, bodyOf } from "./draft";
import type { FormProps } from "./editor";

const MODES: Record<string, string> = {
  observe: "An event that does not fit is stored as it is, and counted.",
  stamp: "An event that does not fit is stored with a mark, and counted.",
  reject: "An event that does not fit becomes a dead letter with its reason, and is counted.",
};

/** An entry of the tracking plan: whose it is, what happens to an event that does not fit, and the schema of its properties. */
export function PlanForm({ value, onChange, fault, onUnread }: FormProps) {
  const mode = String(value.mode ?? "observe");
  const [text, setText] = useState(() => (value.schema ? asText(value.schema) : ""));
  const unread = text.trim() === "" ? null : faultOf(text);
  const set = (name: string, next: unknown) => {
    const { [name]: _before, ...rest } = value;
    onChange(next === "" || next === undefined ? rest : { ...rest, [name]: next });
  };
  const within = fault?.place.startsWith("schema") ? fault.place.slice("schema.".length) : null;
  const wrong =
    unread ?? (within !== null && fault ? { message: fault.message, line: lineOfPath(text, within) } : null);
  return (
    <Stack gap="md">
      <div>
        <Text fw={500} size="sm" mb={4} id="plan-mode">
          When an event does not fit
        </Text>
        <SegmentedControl
          aria-labelledby="plan-mode"
          data={Object.keys(MODES)}
          value={mode}
          onChange={(next) => set("mode", next)}
        />
        <Text size="sm" c="dimmed" mt="xs">
          {MODES[mode]}
        </Text>
      </div>
      <TextInput
        label="Owner"
        description="Who answers for it."
        maxLength={200}
        value={String(value.owner ?? "")}
        onChange={(event) => set("owner", event.currentTarget.value)}
      />
      <Textarea
        label="Description"
        description="What it says when this event comes."
        autosize
        minRows={2}
        maxLength={2000}
        value={String(value.description ?? "")}
        onChange={(event) => set("description", event.currentTarget.value)}
      />
      <JsonEditor
        label="JSON Schema of its properties"
        value={text}
        onChange={(next) => {
          setText(next);
          const schema = bodyOf(next);
          onUnread(!schema && next.trim() !== "");
          if (schema) set("schema", schema);
          else if (next.trim() === "") set("schema", undefined);
        }}
        fault={wrong}
      />
      <Text size="sm" c="dimmed">
        Draft 2020-12. Left empty, any properties are right.
      </Text>
    </Stack>
  );
}
