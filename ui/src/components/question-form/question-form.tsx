/** The form of a question, whatever its kind: made from the schema that the API tells. */

import { Stack } from "@mantine/core";
import { useMemo } from "react";
import type { Kind, Question } from "../../api/types";
import { type Fault, FormContext, faultAt } from "./context";
import { FieldOf } from "./field";
import classes from "./form.module.css";
import { type Field, layoutOf, usedIn } from "./layout";
import { type Lack, missing } from "./missing";
import { More } from "./more";
import { type Defs, followed, humane, type Schema, shapeOf } from "./schema";
import { StatementContext } from "./statement";
import { withField } from "./values";

interface Props {
  project: string;
  kind: Kind;
  value: Question;
  onChange: (question: Question, field: string) => void;
  /** What the server refused, at the place that it names. */
  faults?: readonly Fault[];
}

export function QuestionForm({ project, kind, value, onChange, faults = NONE }: Props) {
  const { schema, defs } = useMemo(() => schemaOf(kind), [kind]);
  const used = useMemo(() => usedIn(kind.examples.map((example) => example.question as Question)), [kind]);
  const house = useMemo(() => ({ project, defs, faults }), [project, defs, faults]);
  const statement = useMemo(() => {
    const field = codeFields(kind)[0];
    return field ? { kind: kind.kind, field } : null;
  }, [kind]);
  const layout = layoutOf(schema, defs, value, used, kind.examples.length);
  const field = ({ name, schema: own, required }: Field) => (
    <FieldOf
      key={name}
      schema={own}
      value={value[name]}
      onChange={(next) => onChange(withField(value, name, next, required ? undefined : own.default) as Question, name)}
      place={name}
      label={humane(name)}
      help={own.description ?? ""}
      required={required}
    />
  );
  return (
    <FormContext.Provider value={house}>
      <StatementContext.Provider value={statement}>
        <Stack gap="lg" className={classes.whole ?? ""}>
          {layout.main.map(field)}
          <Stack gap={4} className={classes.section ?? ""}>
            {layout.more.map(({ title, fields }) => (
              <More
                key={title}
                title={title}
                set={fields.map((one) => one.name).filter((name) => value[name] !== undefined)}
                faulty={fields.some((one) => faultAt(faults, one.name, true) !== "")}
              >
                {fields.map(field)}
              </More>
            ))}
          </Stack>
        </Stack>
      </StatementContext.Provider>
    </FormContext.Provider>
  );
}

const NONE: readonly Fault[] = [];

export function schemaOf(kind: Kind): { schema: Schema; defs: Defs } {
  const whole = kind.question as Schema;
  const defs = whole.$defs ?? {};
  return { schema: followed(whole, defs), defs };
}

/** What the question lacks before it can be asked. */
export function lacksOf(kind: Kind, question: Question): Lack[] {
  const { schema, defs } = schemaOf(kind);
  return missing(schema, defs, question);
}

/** Its fields that hold code: asking waits until the writer says so. */
export function codeFields(kind: Kind): string[] {
  const { schema, defs } = schemaOf(kind);
  return Object.keys(schema.properties ?? {}).filter(
    (name) => shapeOf(schema.properties?.[name] as Schema, defs).is === "code",
  );
}

/** A question of this kind to begin with. */
export const begun = (kind: Kind): Question => ({ kind: kind.kind });
