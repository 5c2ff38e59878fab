import { Anchor, Modal, Select, Stack, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { useNavigate } from "react-router";
import { useDefinitions, useSaveDefinition } from "../../api/catalog";
import { ApiError } from "../../api/errors";
import type { Question } from "../../api/types";
import type { ChartChoice } from "../../charts";
import { FormFoot } from "../../components/form-foot";
import { ErrorNote } from "../../components/states";
import { type BoardBody, withTile } from "./tile";

interface Props {
  project: string;
  question: Question;
  /** The name of the saved question that it is, unchanged; the tile then follows its later versions. */
  saved: string;
  title: string;
  chart: ChartChoice;
  opened: boolean;
  onClose: () => void;
}

export function AddToBoard({ opened, onClose, ...props }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title="Add to a board">
      <Form onClose={onClose} {...props} />
    </Modal>
  );
}

const NEW = "";

function Form({ project, question, saved, title, chart, onClose }: Omit<Props, "opened">) {
  const go = useNavigate();
  const boards = useDefinitions(project, "board");
  const [board, setBoard] = useState<string | null>(null);
  const [name, setName] = useState("");
  const [heading, setHeading] = useState(title);
  const save = useSaveDefinition(project, "board");
  const all = boards.data ?? [];
  const chosen = board ?? (all[0]?.name || NEW);
  const found = all.find((one) => one.name === chosen);
  const target = found ? found.name : name.trim();
  function put() {
    const tile = {
      title: heading.trim(),
      question: saved ? { saved } : question,
      ...(Object.keys(chart).length ? { chart: { ...chart } } : {}),
    };
    const body = withTile((found?.body as BoardBody | undefined) ?? { title: target, tiles: [] }, tile);
    save.mutate(
      { name: target, body: body as unknown as Record<string, unknown>, expected: found?.version ?? 0 },
      {
        onSuccess: () => {
          const path = `/p/${encodeURIComponent(project)}/boards/${encodeURIComponent(target)}`;
          notifications.show({
            message: (
              <>
                Added to{" "}
                <Anchor component="button" type="button" onClick={() => void go(path)}>
                  {target}
                </Anchor>
                .
              </>
            ),
          });
          onClose();
        },
        // Somebody changed the board: with the newest one the next try does it.
        onError: (error) => error instanceof ApiError && error.status === 409 && void boards.refetch(),
      },
    );
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (target) put();
      }}
    >
      <Stack gap="md">
        {all.length > 0 && (
          <Select
            label="Board"
            data={[...all.map((one) => ({ value: one.name, label: one.name })), { value: NEW, label: "A new board" }]}
            value={chosen}
            onChange={(value) => setBoard(value ?? NEW)}
            allowDeselect={false}
            searchable
          />
        )}
        {!found && (
          <TextInput
            label="Name of the new board"
            required
            maxLength={200}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
        )}
        <TextInput
          label="Title of the tile"
          description={
            saved ? `The tile follows the saved question “${saved}”.` : "The tile keeps the question as it is now."
          }
          maxLength={200}
          value={heading}
          onChange={(event) => setHeading(event.currentTarget.value)}
        />
        {save.isError && <ErrorNote error={save.error} />}
        <FormFoot action="Add to the board" onCancel={onClose} pending={save.isPending} disabled={!target} />
      </Stack>
    </form>
  );
}
