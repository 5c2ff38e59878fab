import { Button, Group, Paper, SimpleGrid, Stack, Text, TextInput, Title, UnstyledButton } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import { askedBy, useDefinitions } from "../../api/catalog";
import type { Kind, Question } from "../../api/types";
import { ago } from "../../format";
import { askedLately, inUseOrder, keptOf, whenToAsk } from "./draft";
import classes from "./explore.module.css";

interface Props {
  project: string;
  kinds: Kind[];
  onKind: (kind: Kind) => void;
  onQuestion: (question: Question, saved: string) => void;
  /** Also what was left unfinished and what is saved. */
  whole?: boolean;
}

/** Which question: what each kind answers, what was under way, and what is saved. */
export function Chooser({ project, kinds, onKind, onQuestion, whole = true }: Props) {
  const [search, setSearch] = useState("");
  const saved = useDefinitions(project, "question").data ?? [];
  const kept = whole ? keptOf(project) : null;
  const wanted = search.trim().toLowerCase();
  const title = (kind: string | undefined) => kinds.find((one) => one.kind === kind)?.title ?? kind ?? "";
  const found = inUseOrder(kinds, askedLately()).filter((kind) =>
    `${kind.title} ${kind.kind} ${whenToAsk(kind.doc)}`.toLowerCase().includes(wanted),
  );
  const named = saved.filter((one) => one.name.toLowerCase().includes(wanted));
  return (
    <Stack gap="lg">
      <Group gap="sm">
        <TextInput
          aria-label="Search for a question"
          placeholder="What do you want to know"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
          w={{ base: "100%", sm: 320 }}
          data-autofocus
        />
        {kept && (
          <Button variant="default" fw={400} onClick={() => onQuestion(kept.question, kept.saved)}>
            Go on where you were: {kept.saved || title(kept.question.kind)}
          </Button>
        )}
      </Group>
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="sm" component="ul" className={classes.kinds ?? ""}>
        {found.map((kind) => (
          <li key={kind.kind}>
            <UnstyledButton className={classes.kind ?? ""} onClick={() => onKind(kind)}>
              <Text fw={600} component="span" display="block">
                {kind.title}
              </Text>
              <Text c="dimmed" size="sm" component="span" display="block" lineClamp={3}>
                {whenToAsk(kind.doc)}
              </Text>
            </UnstyledButton>
          </li>
        ))}
      </SimpleGrid>
      {found.length === 0 && named.length === 0 && <Text c="dimmed">No question has these words.</Text>}
      {whole && named.length > 0 && (
        <div>
          <Title order={2} mb="sm">
            Saved questions
          </Title>
          <Paper>
            {named.map((one) => (
              <UnstyledButton
                key={one.name}
                className={classes.saved ?? ""}
                onClick={() => onQuestion(askedBy(one), one.name)}
              >
                <Text component="span" className={classes.name ?? ""}>
                  <Text component="span" fw={500}>
                    {one.name}
                  </Text>
                  {one.body.description ? (
                    <Text component="span" c="dimmed" size="sm" display="block" lineClamp={1}>
                      {String(one.body.description)}
                    </Text>
                  ) : null}
                </Text>
                <Text component="span" c="dimmed" size="sm">
                  {title((one.body as Question).kind)} · {ago(one.saved_at)}
                </Text>
              </UnstyledButton>
            ))}
          </Paper>
        </div>
      )}
    </Stack>
  );
}
