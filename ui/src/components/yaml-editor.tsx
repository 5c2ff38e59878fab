import { Text } from "@mantine/core";
import { useEffect } from "react";
import type { Row } from "../api/types";
import Code from "./code";
import { lineOfYaml, read, written } from "./yaml";

interface YamlEditorProps {
  label: string;
  body: Row;
  /** What was typed before and could not be read, or is kept for its own sake; undefined: the body as it is written. */
  text: string | undefined;
  /** The text, and what it holds; null while it cannot be read. */
  onChange: (text: string, body: Row | null) => void;
  /** Told whether it cannot be read. */
  onUnread: (unread: boolean) => void;
  /** What the server refused, and where. */
  fault: { place: string; message: string } | null;
  readOnly?: boolean;
}

/** A definition as YAML, as files of `almanac apply` have it. */
export default function YamlEditor({
  label,
  body,
  text,
  onChange,
  onUnread,
  fault,
  readOnly = false,
}: YamlEditorProps) {
  const shown = text ?? written(body);
  const { fault: unread } = read(shown);
  const bad = unread !== null;
  useEffect(() => onUnread(bad), [bad, onUnread]);
  const wrong =
    unread ?? (fault && { message: fault.message, line: fault.place ? lineOfYaml(shown, fault.place) : null });
  return (
    <div>
      <Text fw={500} size="sm" mb={4}>
        {label}
      </Text>
      <Code
        label={label}
        form="yaml"
        value={shown}
        onChange={(next) => {
          if (next !== shown) onChange(next, read(next).body);
        }}
        line={wrong?.line ?? null}
        readOnly={readOnly}
      />
      {wrong && (
        <Text size="sm" c="var(--bad)" role="alert" mt={4}>
          {wrong.message}
        </Text>
      )}
      <Text size="sm" c="dimmed" mt={4}>
        Comments are not kept; what stands for what is.
      </Text>
    </div>
  );
}
