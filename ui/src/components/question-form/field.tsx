/** One field of a form, by the shape of its schema. */

import { Skeleton } from "@mantine/core";
import { lazy, Suspense } from "react";
import { BreakdownField } from "./breakdown";
import { type FieldProps, useForm } from "./context";
import { ListField } from "./list";
import { ConditionField, ConditionsField, MapField, ObjectField, SegmentField, UnionField } from "./nested";
import { type Schema, shapeOf } from "./schema";
import { SelectorField } from "./selector";
import {
  AnythingField,
  ChoiceField,
  ChoicesField,
  NumberField,
  PropertyField,
  SwitchField,
  TextField,
  TextsField,
  WindowField,
} from "./simple";

const SqlField = lazy(() => import("./sql-field"));

export function FieldOf({ schema, ...props }: FieldProps & { schema: Schema }) {
  const { defs } = useForm();
  const shape = shapeOf(schema, defs);
  switch (shape.is) {
    case "choice":
      return <ChoiceField shape={shape} {...props} />;
    case "choices":
      return <ChoicesField shape={shape} {...props} />;
    case "number":
      return <NumberField shape={shape} {...props} />;
    case "switch":
      return <SwitchField shape={shape} {...props} />;
    case "text":
    case "word":
      return <TextField shape={shape} {...props} />;
    case "code":
      return (
        <Suspense fallback={<Skeleton height={220} />}>
          <SqlField {...props} />
        </Suspense>
      );
    case "texts":
    case "properties":
      return <TextsField shape={shape.is === "texts" ? shape : { ...shape, is: "texts", numbers: false }} {...props} />;
    case "property":
      return <PropertyField shape={shape} {...props} />;
    case "window":
      return <WindowField shape={shape} {...props} />;
    case "conditions":
      return <ConditionsField {...props} />;
    case "condition":
      return <ConditionField owners={shape.owners} {...props} />;
    case "selector":
      return <SelectorField shape={shape} {...props} />;
    case "breakdown":
      return <BreakdownField shape={shape} {...props} />;
    case "segment":
      return <SegmentField shape={shape} {...props} />;
    case "list":
      return <ListField shape={shape} {...props} />;
    case "map":
      return <MapField shape={shape} {...props} />;
    case "object":
      return <ObjectField shape={shape} {...props} />;
    case "union":
      return <UnionField shape={shape} {...props} />;
    default:
      return <AnythingField {...props} />;
  }
}
