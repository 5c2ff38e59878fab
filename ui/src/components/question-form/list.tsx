/** A list of things in their order: drag them by the handle, or move them by the keyboard (space, arrows, space). */

import {
  closestCenter,
  DndContext,
  type DragEndEvent,
  KeyboardSensor,
  PointerSensor,
  useSensor,
  useSensors,
} from "@dnd-kit/core";
import {
  SortableContext,
  sortableKeyboardCoordinates,
  useSortable,
  verticalListSortingStrategy,
} from "@dnd-kit/sortable";
import { CSS } from "@dnd-kit/utilities";
import { ActionIcon, Button, Stack, UnstyledButton } from "@mantine/core";
import { IconGripVertical, IconPlus, IconX } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { movedItem, useKeys } from "../keys";
import { type FieldProps, useForm } from "./context";
import { FieldOf } from "./field";
import classes from "./form.module.css";
import { Around, Narrow } from "./head";
import { itemWord, type Schema, type Shape, shapeOf } from "./schema";

export function ListField({
  shape,
  value,
  onChange,
  place,
  label,
  help,
  required,
}: FieldProps & { shape: Extract<Shape, { is: "list" }> }) {
  const { defs } = useForm();
  const word = itemWord(shape.item, defs);
  const items = itemsOf(value, required ? (shape.schema.minItems ?? 0) : 0);
  const { keys, added, removed, moved } = useKeys(items.length);
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 4 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );
  const put = (next: unknown[]) => onChange(next.length || required ? next : undefined);
  function dropped({ active, over }: DragEndEvent) {
    if (!over || active.id === over.id) return;
    const [from, to] = [keys.indexOf(String(active.id)), keys.indexOf(String(over.id))];
    if (from < 0 || to < 0) return;
    moved(from, to);
    put(movedItem(items, from, to));
  }
  const lettered = isLettered(shape.item, defs);
  return (
    <Around label={label} help={help} required={required} place={place}>
      <Stack gap="sm" mt={4} role="group" aria-label={label}>
        <DndContext sensors={sensors} collisionDetection={closestCenter} onDragEnd={dropped}>
          <SortableContext items={keys} strategy={verticalListSortingStrategy}>
            {items.map((item, at) => (
              <Item
                key={keys[at]}
                id={keys[at] as string}
                name={`${word} ${at + 1}`}
                badge={lettered ? String.fromCharCode(65 + (at % 26)) : String(at + 1)}
                movable={items.length > 1}
                onRemove={
                  items.length > (required ? (shape.schema.minItems ?? 0) : 0)
                    ? () => {
                        removed(at);
                        put(items.filter((_, other) => other !== at));
                      }
                    : undefined
                }
              >
                <Narrow.Provider value={true}>
                  <FieldOf
                    schema={shape.item}
                    value={item ?? undefined}
                    onChange={(next) => put(items.map((one, other) => (other === at ? (next ?? null) : one)))}
                    place={`${place}.${at}`}
                    label=""
                    help=""
                    required
                  />
                </Narrow.Provider>
              </Item>
            ))}
          </SortableContext>
        </DndContext>
        {items.length < (shape.schema.maxItems ?? 200) && (
          <Button
            size="compact-sm"
            variant="subtle"
            leftSection={<IconPlus size={14} aria-hidden />}
            style={{ alignSelf: "flex-start" }}
            onClick={() => {
              added();
              put([...items, null]);
            }}
          >
            Add {word}
          </Button>
        )}
      </Stack>
    </Around>
  );
}

type ItemProps = {
  id: string;
  name: string;
  badge: string;
  movable: boolean;
  onRemove: (() => void) | undefined;
  children: ReactNode;
};

function Item({ id, name, badge, movable, onRemove, children }: ItemProps) {
  const { attributes, listeners, setNodeRef, setActivatorNodeRef, transform, transition, isDragging } = useSortable({
    id,
    disabled: !movable,
  });
  return (
    <div
      ref={setNodeRef}
      className={classes.item}
      data-dragged={isDragging || undefined}
      style={{ transform: CSS.Translate.toString(transform), transition }}
    >
      {movable ? (
        <UnstyledButton
          ref={setActivatorNodeRef}
          className={classes.handle ?? ""}
          {...attributes}
          {...listeners}
          aria-label={`Move ${name}`}
        >
          <IconGripVertical size={14} aria-hidden />
          <span>{badge}</span>
        </UnstyledButton>
      ) : (
        <span className={classes.badge}>{badge}</span>
      )}
      <div className={classes.inside}>{children}</div>
      {onRemove && (
        <ActionIcon variant="subtle" color="gray" size="lg" onClick={onRemove} aria-label={`Remove ${name}`}>
          <IconX size={16} />
        </ActionIcon>
      )}
    </div>
  );
}

/** One thing is a list of one; a list that needs so many shows so many, blank ones. */
export function itemsOf(value: unknown, least: number): unknown[] {
  const given = value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
  return given.length >= least ? given : [...given, ...Array.from({ length: least - given.length }, () => null)];
}

/** Formulas name lines by letters. */
function isLettered(item: Schema, defs: Record<string, Schema>): boolean {
  const shape = shapeOf(item, defs);
  return shape.is === "selector" && "formula" in shape.fields;
}
