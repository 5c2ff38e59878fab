import { Button, Group } from "@mantine/core";

interface FormFootProps {
  /** What the form does. */
  action: string;
  onCancel: () => void;
  pending: boolean;
  disabled?: boolean;
}

/** The foot of a form in a dialog: the way out, and the deed. */
export function FormFoot({ action, onCancel, pending, disabled = false }: FormFootProps) {
  return (
    <Group justify="flex-end">
      <Button variant="default" onClick={onCancel}>
        Cancel
      </Button>
      <Button type="submit" loading={pending} disabled={disabled}>
        {action}
      </Button>
    </Group>
  );
}
