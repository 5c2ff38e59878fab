/** A statement in SQL: an editor with completion, and beside it what the statement would cost. Loaded only where a question has such a field. */

import { Input } from "@mantine/core";
import { useEffect, useRef } from "react";
import { useEventNames, useProperties } from "../../api/catalog";
import { type FieldProps, faultAt, useForm } from "./context";
import classes from "./sql.module.css";
import { type Editor, mount } from "./sql-editor";
import { useTables } from "./sql-tables";

export default function SqlField({ value, onChange, place, label, help, required }: FieldProps) {
  const { project, faults } = useForm();
  const events = useEventNames(project).data;
  const properties = useProperties(project).data;
  const tables = useTables(project);
  const home = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const told = useRef(onChange);
  told.current = onChange;
  const text = typeof value === "string" ? value : "";
  const error = faultAt(faults, place);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the editor is made once; what it shows is told to it below
  useEffect(() => {
    if (!home.current) return;
    const made = mount(home.current, text, label, (next) => told.current(next));
    editor.current = made;
    return () => made.end();
  }, []);
  useEffect(() => editor.current?.show(text), [text]);
  useEffect(() => {
    const names = [...new Set((properties ?? []).map((one) => one.property))];
    editor.current?.complete({ tables, events: (events ?? []).map((one) => one.event), properties: names });
  }, [tables, events, properties]);
  return (
    <Input.Wrapper label={label} description={help} required={required} error={error} labelElement="div">
      <div ref={home} className={classes.editor} data-faulty={error !== "" || undefined} />
      <div className={classes.hint}>Ctrl Enter asks. Tab leaves the editor after Escape.</div>
    </Input.Wrapper>
  );
}
