import { ActionIcon, Menu } from "@mantine/core";
import { IconArrowRight, IconCopy, IconDots, IconPencil, IconTrash } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Link } from "react-router";
import type { Question } from "../../api/types";
import classes from "./boards.module.css";
import { type Step, stepped, type Tile } from "./model";

interface Props {
  tile: Tile;
  columns: number;
  editing: boolean;
  question: Question | null;
  onEdit: () => void;
  onCopy: () => void;
  onRemove: () => void;
  onStep: (tile: Tile) => void;
  children: ReactNode;
}

const STEPS: { step: Step; label: string }[] = [
  { step: "left", label: "Move left" },
  { step: "right", label: "Move right" },
  { step: "up", label: "Move up" },
  { step: "down", label: "Move down" },
  { step: "wider", label: "Make wider" },
  { step: "narrower", label: "Make narrower" },
  { step: "taller", label: "Make taller" },
  { step: "lower", label: "Make lower" },
];

interface FrameProps {
  tile: Pick<Tile, "type">;
  title: string;
  /** It stands in the room as it is, without a border. */
  plain: boolean;
  editing?: boolean;
  /** What stands above it; left out: its title, if it has one. */
  head?: ReactNode;
  children: ReactNode;
}

/** The box of a tile. */
export function TileFrame({ tile, title, plain, editing = false, head, children }: FrameProps) {
  return (
    <section
      className={classes.tile}
      aria-label={title || `Tile of type ${tile.type}`}
      data-plain={plain || undefined}
      data-editing={editing || undefined}
    >
      {(head ?? title) && (
        <div className={`${classes.head} board-tile-head`} data-editing={editing || undefined}>
          {head ?? <TileTitle title={title} />}
        </div>
      )}
      <div className={classes.body}>{children}</div>
    </section>
  );
}

function TileTitle({ title }: { title: string }) {
  return (
    <h3 className={classes.title} style={{ margin: 0, fontSize: 14 }} title={title}>
      {title || <span style={{ color: "var(--faint)", fontWeight: 400 }}>No title</span>}
    </h3>
  );
}

/** Texts and images need no frame around them. */
export const isPlain = (tile: Pick<Tile, "type">): boolean => tile.type === "text" || tile.type === "image";

/** A tile's frame: its title, and what can be done with it. */
export function TileCard({ tile, columns, editing, question, onEdit, onCopy, onRemove, onStep, children }: Props) {
  const title =
    tile.title ||
    (tile.type === "filter" ? tile.property : "") ||
    (tile.type === "feed" ? tile.event || "Latest events" : "");
  const head = (
    <>
      <TileTitle title={title} />
      {(editing || question) && (
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" aria-label={`More about ${title || "this tile"}`}>
              <IconDots size={16} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            {question && (
              <Menu.Item
                leftSection={<IconArrowRight size={16} />}
                component={Link}
                to={`../explore?q=${encodeURIComponent(JSON.stringify(question))}`}
                relative="path"
              >
                Look into it in Explore
              </Menu.Item>
            )}
            {editing && (
              <>
                <Menu.Item leftSection={<IconPencil size={16} />} onClick={onEdit}>
                  Edit
                </Menu.Item>
                <Menu.Item leftSection={<IconCopy size={16} />} onClick={onCopy}>
                  Duplicate
                </Menu.Item>
                <Menu.Divider />
                {STEPS.map(({ step, label }) => {
                  const moved = stepped(tile, step, columns);
                  return (
                    <Menu.Item
                      key={step}
                      disabled={!moved}
                      closeMenuOnClick={false}
                      onClick={() => moved && onStep(moved)}
                    >
                      {label}
                    </Menu.Item>
                  );
                })}
                <Menu.Divider />
                <Menu.Item leftSection={<IconTrash size={16} />} color="red" onClick={onRemove}>
                  Remove
                </Menu.Item>
              </>
            )}
          </Menu.Dropdown>
        </Menu>
      )}
    </>
  );
  return (
    <TileFrame
      tile={tile}
      title={title}
      plain={!editing && isPlain(tile)}
      editing={editing}
      {...(editing || title ? { head } : {})}
    >
      {children}
    </TileFrame>
  );
}
