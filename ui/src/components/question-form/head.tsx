import { Input, Tooltip } from "@mantine/core";
import { IconHelpCircle } from "@tabler/icons-react";
import { createContext, type ReactNode, useContext } from "react";
import { type FieldProps, faultAt, useForm } from "./context";
import classes from "./form.module.css";

/** Whether there is little room: help stands behind a sign then, not below each label. */
export const Narrow = createContext(false);

/** The label and the help of a field, as there is room for them. */
export function useHead(label: string, help: string): { label: ReactNode; description: ReactNode } {
  const narrow = useContext(Narrow);
  if (!narrow) return { label, description: help || null };
  if (!label || !help) return { label, description: null };
  const shown = (
    <>
      {label}{" "}
      <Tooltip label={help} multiline maw={280} events={{ hover: true, focus: true, touch: true }}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: its help is read by focus, as by hovering */}
        <span tabIndex={0} className={classes.sign} role="img" aria-label={help}>
          <IconHelpCircle size={14} aria-hidden />
        </span>
      </Tooltip>
    </>
  );
  return { label: shown, description: null };
}

/** Several fields that are one to the question: their label, help and fault around them. */
export function Around({
  label,
  help,
  required,
  place,
  children,
}: Pick<FieldProps, "label" | "help" | "required" | "place"> & { children: ReactNode }) {
  const head = useHead(label, help);
  const { faults } = useForm();
  return (
    <Input.Wrapper
      label={head.label}
      description={head.description}
      required={required}
      error={faultAt(faults, place)}
      labelElement="div"
    >
      {children}
    </Input.Wrapper>
  );
}
