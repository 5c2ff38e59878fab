/** A form for what is saved, made from its schema in the API's kinds of question: none of its fields is named here. */

import { Stack } from "@mantine/core";
import { useMemo } from "react";
import { useKinds } from "../../api/ask";
import type { Kind, Row } from "../../api/types";
import { FormContext } from "../../components/question-form/context";
import { FieldOf } from "../../components/question-form/field";
import { More } from "../../components/question-form/more";
import { type Defs, humane, type Schema } from "../../components/question-form/schema";
import { withField } from "../../components/question-form/values";
import { RowsSkeleton } from "../../components/states";
import { useProject } from "../../state/url";
import type { FormProps } from "./editor";

/** The parts of all kinds' schemas, by their names. */
function partsOf(kinds: Kind[] | undefined): Defs {
  return Object.assign({}, ...(kinds ?? []).map((kind) => (kind.question as Schema).$defs ?? {})) as Defs;
}

interface SchemaFormProps extends FormProps {
  /** The name of the schema. */
  of: string;
  /** Fields that the page itself has. */
  leave: string[];
  /** Fields to begin with; the others stand under "More options". Left out: all stand in the order of the schema. */
  first?: string[];
}

export function SchemaForm({ of, leave, first, value, onChange, fault }: SchemaFormProps) {
  const { id } = useProject();
  const kinds = useKinds(id);
  const defs = useMemo(() => partsOf(kinds.data), [kinds.data]);
  const house = useMemo(() => ({ project: id, defs, faults: fault ? [fault] : [] }), [id, defs, fault]);
  const schema = defs[of];
  if (!schema) return <RowsSkeleton rows={6} />;
  const required = new Set(schema.required ?? []);
  const given = schema.properties ?? {};
  const names = Object.keys(given).filter((name) => !leave.includes(name));
  const main = first ?? names;
  const more = names.filter((name) => !main.includes(name));
  const field = (name: string) => {
    const own = given[name];
    if (!own) return null;
    return (
      <FieldOf
        key={name}
        schema={own}
        value={value[name]}
        onChange={(next) => onChange(withField(value, name, next, required.has(name) ? undefined : own.default) as Row)}
        place={name}
        label={humane(name)}
        help={own.description ?? ""}
        required={required.has(name)}
      />
    );
  };
  return (
    <FormContext.Provider value={house}>
      <Stack gap="md">
        {main.map(field)}
        {more.length > 0 && (
          <More
            title="More options"
            set={more.filter((name) => value[name] !== undefined)}
            faulty={more.some((name) => fault !== null && (fault.place === name || fault.place.startsWith(`${name}.`)))}
          >
            {more.map(field)}
          </More>
        )}
      </Stack>
    </FormContext.Provider>
  );
}
