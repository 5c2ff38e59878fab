import { Button, Drawer, Stack, Table, Text, Title } from "@mantine/core";
import type { Kind, Question } from "../../api/types";
import { MISSING } from "../../format";
import { fromExample } from "./draft";
import classes from "./explore.module.css";

interface Props {
  kind: Kind;
  opened: boolean;
  onClose: () => void;
  onTake: (question: Question) => void;
}

/** Worked examples: events in, question, whole answer, reckoned by hand; each can be taken as a beginning. */
export function Examples({ kind, opened, onClose, onTake }: Props) {
  return (
    <Drawer opened={opened} onClose={onClose} position="right" size="lg" title="Worked examples">
      <Stack gap="xl">
        {kind.examples.map((example) => (
          <section key={example.title}>
            <Title order={2}>{example.title}</Title>
            {example.why && (
              <Text c="dimmed" mb="sm">
                {example.why.replaceAll("`", "")}
              </Text>
            )}
            <Stack gap="sm">
              <Part title="Events" rows={example.events as Row[]} />
              <div>
                <Text fw={500}>Question</Text>
                <pre className={classes.plan}>{JSON.stringify(example.question)}</pre>
              </div>
              <Part title="Answer" rows={example.rows as Row[]} />
              <Button
                variant="default"
                style={{ alignSelf: "flex-start" }}
                onClick={() => onTake(fromExample(example.question as Record<string, unknown>))}
              >
                Try it on your events
              </Button>
            </Stack>
          </section>
        ))}
      </Stack>
    </Drawer>
  );
}

type Row = Record<string, unknown>;
/** More rows than this show nothing that these do not. */
const MOST = 12;

function Part({ title, rows }: { title: string; rows: Row[] }) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) =>
    rows.some((row) => row[name] !== null),
  );
  return (
    <div>
      <Text fw={500}>{title}</Text>
      {rows.length === 0 ? (
        <Text c="dimmed">None.</Text>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must reach it
        <section className={classes.wide} tabIndex={0} aria-label={title}>
          <Table fz="xs" verticalSpacing={4}>
            <Table.Thead>
              <Table.Tr>
                {names.map((name) => (
                  <Table.Th key={name}>{name}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.slice(0, MOST).map((row, place) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: rows of a worked example never change
                <Table.Tr key={place}>
                  {names.map((name) => (
                    <Table.Td key={name} style={{ whiteSpace: "nowrap" }}>
                      {cell(row[name])}
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </section>
      )}
      {rows.length > MOST && (
        <Text size="xs" c="dimmed">
          {rows.length - MOST} more rows
        </Text>
      )}
    </div>
  );
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return MISSING;
  if (typeof value === "number") return String(Math.round(value * 1e4) / 1e4);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
