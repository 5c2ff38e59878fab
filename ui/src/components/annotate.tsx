/** Marks a moment on the charts: a release, an outage, a campaign. */

import { Checkbox, Modal, Stack, TextInput } from "@mantine/core";
import { useState } from "react";
import { useSaveDefinition } from "../api/catalog";
import { FormFoot } from "./form-foot";
import { ErrorNote } from "./states";
import { tell } from "./tell";

interface AnnotateProps {
  project: string;
  /** The board on which it is made; "" for none. */
  board: string;
  /** A date or an instant. */
  at: string;
  onClose: () => void;
}

export function Annotate({ project, board, at, onClose }: AnnotateProps) {
  const [text, setText] = useState("");
  const [here, setHere] = useState(false);
  const save = useSaveDefinition(project, "annotation");
  const wanted = text.trim();
  const put = () =>
    save.mutate(
      {
        name: `${at.slice(0, 16)} ${wanted}`.slice(0, 200),
        body: { at, text: wanted, ...(here ? { board } : {}) },
        expected: 0,
      },
      {
        onSuccess: () => {
          tell("The charts show it from now on. Data, Annotations has all of them.");
          onClose();
        },
      },
    );
  return (
    <Modal opened onClose={onClose} title={`Mark ${at.slice(0, 16).replace("T", " ")} on the charts`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (wanted) put();
        }}
      >
        <Stack gap="md">
          <TextInput
            label="What happened"
            placeholder="Release 2.4"
            required
            maxLength={180}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            data-autofocus
          />
          {board && (
            <Checkbox
              label="On this board only"
              checked={here}
              onChange={(event) => setHere(event.currentTarget.checked)}
            />
          )}
          {save.isError && <ErrorNote error={save.error} />}
          <FormFoot action="Mark it" onCancel={onClose} pending={save.isPending} disabled={!wanted} />
        </Stack>
      </form>
    </Modal>
  );
}
