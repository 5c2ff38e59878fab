import "react-grid-layout/css/styles.css";
import { type ReactNode, useMemo } from "react";
import ReactGridLayout, { type Layout, useContainerWidth } from "react-grid-layout";
import classes from "./boards.module.css";
import { type Board, columnsOf, GAP, inReadingOrder, ROW, type Tile } from "./model";

interface Props {
  board: Board;
  editing: boolean;
  /** One column, as on phones. */
  narrow: boolean;
  onMove: (tiles: Tile[]) => void;
  children: (tile: Tile) => ReactNode;
}

/** Tiles where they stand; while editing they are moved by their heads and resized by their corners. */
export function Grid({ board, editing, narrow, onMove, children }: Props) {
  const { width, containerRef, mounted } = useContainerWidth();
  const columns = columnsOf(board);
  const layout = useMemo<Layout>(
    () => board.tiles.map(({ id, x, y, w, h }) => ({ i: id, x, y, w, h, minW: 2, minH: 2 })),
    [board.tiles],
  );
  if (narrow)
    return (
      <div className={classes.column}>
        {inReadingOrder(board.tiles).map((tile) => (
          <div key={tile.id} style={{ height: Math.max(2, tile.h) * (ROW + GAP) - GAP }}>
            {children(tile)}
          </div>
        ))}
      </div>
    );
  const stopped = (moved: Layout) => {
    const places = new Map(moved.map((one) => [one.i, one]));
    onMove(
      board.tiles.map((tile) => {
        const place = places.get(tile.id);
        return place ? { ...tile, x: place.x, y: place.y, w: place.w, h: place.h } : tile;
      }),
    );
  };
  return (
    <div ref={containerRef} className={classes.grid}>
      {mounted && (
        <ReactGridLayout
          width={width}
          layout={layout}
          gridConfig={{ cols: columns, rowHeight: ROW, margin: [GAP, GAP], containerPadding: [0, 0] }}
          dragConfig={{ enabled: editing, handle: ".board-tile-head", cancel: "button, a, input" }}
          resizeConfig={{ enabled: editing, handles: ["se"] }}
          onDragStop={stopped}
          onResizeStop={stopped}
        >
          {board.tiles.map((tile) => (
            <div key={tile.id}>{children(tile)}</div>
          ))}
        </ReactGridLayout>
      )}
    </div>
  );
}
