/** Fields that few need, one click away. What is set in them is said on the closed lid, and a fault within opens it. */

import { Stack, UnstyledButton } from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { type ReactNode, useId, useState } from "react";
import classes from "./form.module.css";
import { humane } from "./schema";

interface Props {
  title: string;
  /** The fields within that have a value. */
  set: string[];
  /** Whether one of them is refused. */
  faulty: boolean;
}

export function More({ children, ...props }: Props & { children: ReactNode }) {
  const { lid, opened, id } = useMore(props);
  return (
    <div>
      {lid}
      {opened && (
        <Stack gap="md" pt="sm" id={id}>
          {children}
        </Stack>
      )}
    </div>
  );
}

/** The lid apart from what is under it, where both stand at different places. */
export function useMore({ title, set, faulty }: Props): { lid: ReactNode; opened: boolean; id: string } {
  const [wanted, setWanted] = useState<boolean | null>(null);
  const id = useId();
  const opened = wanted ?? faulty;
  const lid = (
    <UnstyledButton
      className={classes.lid ?? ""}
      aria-expanded={opened}
      aria-controls={opened ? id : undefined}
      onClick={() => setWanted(!opened)}
    >
      {opened ? <IconChevronDown size={14} aria-hidden /> : <IconChevronRight size={14} aria-hidden />}
      <span>{title}</span>
      {!opened && set.length > 0 && <span className={classes.set}>{set.map(humane).join(", ")}</span>}
    </UnstyledButton>
  );
  return { lid, opened, id };
}
