import { Alert, Button, Modal, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { askedBy, useDefinition, useSaveDefinition } from "../../api/catalog";
import { ApiError } from "../../api/errors";
import type { Question } from "../../api/types";
import { FormFoot } from "../../components/form-foot";
import { ErrorNote } from "../../components/states";

interface Props {
  project: string;
  question: Question;
  /** The saved question that it came from; "" for none. */
  from: string;
  /** The version that it came from: somebody else's later one is not written over in silence. */
  version: number;
  /** What it says of itself so far. */
  description: string;
  opened: boolean;
  onClose: () => void;
  onSaved: (name: string, question: Question) => void;
}

export function SaveQuestion({ opened, ...props }: Props) {
  return (
    <Modal opened={opened} onClose={props.onClose} title="Save question">
      <Form key={props.from} {...props} />
    </Modal>
  );
}

function Form({ project, question, from, version, description, onClose, onSaved }: Omit<Props, "opened">) {
  const [name, setName] = useState(from);
  const [about, setAbout] = useState(description);
  const save = useSaveDefinition(project, "question");
  const wanted = name.trim();
  const taken = save.error instanceof ApiError && save.error.status === 409;
  const theirs = useDefinition(project, "question", taken ? wanted : "").data;
  const put = (expected?: number) =>
    save.mutate(
      {
        name: wanted,
        body: { ...question, ...(about.trim() ? { description: about.trim() } : {}) },
        ...(expected === undefined ? {} : { expected }),
      },
      {
        onSuccess: (saved) => {
          notifications.show({ message: `Saved “${saved.name}”, version ${saved.version}.` });
          onSaved(saved.name, askedBy(saved));
          onClose();
        },
      },
    );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (wanted) put(wanted === from ? version : 0);
      }}
    >
      <Stack gap="md">
        <TextInput
          label="Name"
          description="Boards, alerts and colleagues find it by this name. What it said before stays in its history."
          required
          maxLength={200}
          value={name}
          onChange={(event) => {
            setName(event.currentTarget.value);
            save.reset();
          }}
          data-autofocus
        />
        <Textarea
          label="Description"
          description="What it is for; it stands below its name."
          autosize
          minRows={2}
          maxRows={8}
          maxLength={2000}
          value={about}
          onChange={(event) => setAbout(event.currentTarget.value)}
        />
        {from && wanted !== from && wanted && (
          <Text c="dimmed">“{from}” stays as it is; this becomes a question of its own.</Text>
        )}
        {taken && (
          <Alert
            color="yellow"
            variant="outline"
            title={wanted === from ? "Somebody saved it meanwhile" : "This name is taken"}
            role="alert"
          >
            <Stack gap="sm" align="flex-start">
              <Text>
                {theirs ? `Version ${theirs.version} is by ${theirs.author || "somebody"}. ` : ""}
                Save yours as a further version, or choose another name. Theirs stays in the history.
              </Text>
              <Button size="xs" variant="default" onClick={() => put(theirs?.version)} disabled={!theirs}>
                Save mine as a further version
              </Button>
            </Stack>
          </Alert>
        )}
        {save.isError && !taken && <ErrorNote error={save.error} />}
        <FormFoot action="Save question" onCancel={onClose} pending={save.isPending} disabled={!wanted} />
      </Stack>
    </form>
  );
}
