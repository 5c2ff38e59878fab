import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { ErrorNote } from "./states";

interface ConfirmProps {
  title: string;
  children: ReactNode;
  /** The verb on the button. */
  action: string;
  /** A name that has to be typed first. */
  typed?: string;
  pending: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

/** Says what will be gone, and asks. */
export function Confirm({ title, children, action, typed, pending, error, onConfirm, onClose }: ConfirmProps) {
  const [given, setGiven] = useState("");
  const ready = typed === undefined || given === typed;
  return (
    <Modal opened onClose={onClose} title={title}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (ready) onConfirm();
        }}
      >
        <Stack gap="md">
          <Text component="div">{children}</Text>
          {typed !== undefined && (
            <TextInput
              label={`Type ${typed} to go on`}
              value={given}
              onChange={(event) => setGiven(event.currentTarget.value)}
              autoComplete="off"
              data-autofocus
            />
          )}
          {Boolean(error) && <ErrorNote error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button
              type="submit"
              color="red"
              disabled={!ready}
              loading={pending}
              data-autofocus={typed === undefined || undefined}
            >
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
