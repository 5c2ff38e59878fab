import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef } from "react";

interface VirtualListProps<T> {
  items: T[];
  label: string;
  rowHeight: number;
  height: number | string;
  keyOf: (item: T) => string;
  children: (item: T) => ReactNode;
  /** Called when the end comes into sight. */
  onEnd?: (() => void) | undefined;
}

/** A long list of rows of one height: only those in sight are in the page. */
export function VirtualList<T>({ items, label, rowHeight, height, keyOf, children, onEnd }: VirtualListProps<T>) {
  const box = useRef<HTMLElement>(null);
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    getItemKey: (place) => keyOf(items[place] as T),
    overscan: 12,
  });
  const shown = rows.getVirtualItems();
  const last = shown.at(-1)?.index ?? -1;
  useEffect(() => {
    if (onEnd && items.length > 0 && last >= items.length - 10) onEnd();
  }, [onEnd, last, items.length]);
  return (
    <section
      ref={box}
      aria-label={label}
      style={{ maxHeight: height, overflowY: "auto" }}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what can be scrolled has to be reached by keyboard
      tabIndex={0}
    >
      <ul style={{ height: rows.getTotalSize(), position: "relative", margin: 0, padding: 0, listStyle: "none" }}>
        {shown.map((row) => (
          <li
            key={row.key}
            aria-setsize={items.length}
            aria-posinset={row.index + 1}
            style={{
              position: "absolute",
              top: 0,
              left: 0,
              right: 0,
              height: row.size,
              transform: `translateY(${row.start}px)`,
            }}
          >
            {children(items[row.index] as T)}
          </li>
        ))}
      </ul>
    </section>
  );
}
