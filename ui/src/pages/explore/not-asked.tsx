import { Button, Group, Text } from "@mantine/core";
import type { Lack } from "../../components/question-form/missing";
import { humane } from "../../components/question-form/schema";
import { Empty } from "../../components/states";
import classes from "./explore.module.css";

interface Props {
  lacks: Lack[];
  pending: boolean;
  code: boolean;
  /** Whether an answer stands below. */
  asked: boolean;
  onAsk: () => void;
}

/** Why the question in the form is not the one that is answered. */
export function NotAsked({ lacks, pending, code, asked, onAsk }: Props) {
  if (lacks.length > 0 && !asked)
    return <Empty title="The answer comes by itself">{`What is missing: ${lackWords(lacks)}.`}</Empty>;
  if (lacks.length > 0)
    return (
      <div className={classes.note} role="status">
        <Text size="sm">This answers the question before your last change. What is missing: {lackWords(lacks)}.</Text>
      </div>
    );
  if (!pending || !code) return null;
  return (
    <div className={classes.note} role="status">
      <Group justify="space-between" gap="sm">
        <Text size="sm">
          {asked ? "The statement has changed since it was asked." : "The statement has not been asked yet."}
        </Text>
        <Button size="xs" onClick={onAsk}>
          Ask, Ctrl Enter
        </Button>
      </Group>
    </div>
  );
}

/** "steps 2", "filters 1: value": places as people read them. */
export function lackWords(lacks: Lack[]): string {
  const said = lacks.map(({ place }) =>
    place
      .split(".")
      .map((part) => (/^\d+$/.test(part) ? String(Number(part) + 1) : humane(part).toLowerCase()))
      .join(" ")
      .trim(),
  );
  const words = [...new Set(said.filter(Boolean))];
  return words.length > 3 ? `${words.slice(0, 3).join(", ")} and ${words.length - 3} more` : words.join(", ");
}
