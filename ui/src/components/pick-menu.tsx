/** What can be done with a mark that was picked: see who is behind it, look into it, filter by it, copy it. */

import { Menu, Portal } from "@mantine/core";
import { useClipboard } from "@mantine/hooks";
import { IconCopy, IconFilter, IconFlag, IconUsers, IconZoomIn } from "@tabler/icons-react";
import type { Behind } from "./people-drawer";

export interface Picked {
  title: string;
  said: string;
  at: { x: number; y: number };
  people: Behind | null;
  condition: Record<string, unknown> | null;
  range: { date_from: string; date_to: string } | null;
  /** When its period begins, where it has one. */
  moment: string | null;
}

export interface PickMenuProps {
  picked: Picked | null;
  onClose: () => void;
  onPeople: (behind: Behind) => void;
  onFilter?: (condition: Record<string, unknown>) => void;
  onRange?: (range: { date_from: string; date_to: string }) => void;
  onMark?: (at: string) => void;
}

export function PickMenu({ picked, onClose, onPeople, onFilter, onRange, onMark }: PickMenuProps) {
  const { copy } = useClipboard();
  if (!picked) return null;
  const { people, condition, range, moment, at, title, said } = picked;
  return (
    <Portal>
      <Menu opened onClose={onClose} position="bottom-start" width={240} trapFocus returnFocus>
        <Menu.Target>
          <span style={{ position: "fixed", left: at.x, top: at.y, width: 1, height: 1 }} />
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label style={{ overflowWrap: "anywhere" }}>{[title, said].filter(Boolean).join(": ")}</Menu.Label>
          {people && (
            <Menu.Item leftSection={<IconUsers size={16} />} onClick={() => onPeople(people)}>
              See the people
            </Menu.Item>
          )}
          {condition && onFilter && (
            <Menu.Item leftSection={<IconFilter size={16} />} onClick={() => onFilter(condition)}>
              Filter by it
            </Menu.Item>
          )}
          {range && onRange && (
            <Menu.Item leftSection={<IconZoomIn size={16} />} onClick={() => onRange(range)}>
              Look into it
            </Menu.Item>
          )}
          {moment && onMark && (
            <Menu.Item leftSection={<IconFlag size={16} />} onClick={() => onMark(moment)}>
              Mark it on the charts
            </Menu.Item>
          )}
          <Menu.Item
            leftSection={<IconCopy size={16} />}
            onClick={() => copy([title, said].filter(Boolean).join("\t"))}
          >
            Copy
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </Portal>
  );
}
