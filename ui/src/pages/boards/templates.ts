/** Boards to begin with: they fit any project, made of its most frequent events. */

import type { EventName, Question } from "../../api/types";
import { added, type Board, COLUMNS, type TileType } from "./model";

export interface Template {
  name: string;
  about: string;
  make: (events: readonly EventName[]) => Board;
}

type Spot = {
  type: TileType;
  title: string;
  question: Question;
  w: number;
  h: number;
  chart?: { type: "number" | "line" | "bar" | "funnel" };
};

/** Letters that a tile's title may have; events' names may have more. */
const LONGEST_TITLE = 200;

/** Left to right, then below: each spot takes the first room in the row that it begins. */
function laid(title: string, description: string, spots: (Spot | null)[]): Board {
  let board: Board = { title, description, columns: COLUMNS, tiles: [] };
  let x = 0;
  let y = 0;
  let row = 0;
  for (const spot of spots) {
    if (!spot) continue;
    if (x + spot.w > COLUMNS) {
      x = 0;
      y += row;
      row = 0;
    }
    board = added(board, spot);
    const tiles = board.tiles.map((tile, place) => (place === board.tiles.length - 1 ? { ...tile, x, y } : tile));
    board = { ...board, tiles };
    x += spot.w;
    row = Math.max(row, spot.h);
  }
  return board;
}

const people = (more: Question = {}): Question => ({
  kind: "trend",
  series: [{ measure: "unique", name: "People" }],
  last: "30 days",
  ...more,
});
const trend = (event: string, more: Question = {}): Question => ({
  kind: "trend",
  series: [{ event }],
  last: "30 days",
  ...more,
});
const number = (title: string, question: Question): Spot => ({
  type: "number",
  title: title.slice(0, LONGEST_TITLE),
  question,
  w: 3,
  h: 3,
  chart: { type: "number" },
});
const half = (title: string, question: Question): Spot => ({ type: "question", title, question, w: 6, h: 6 });

/** The most frequent events, those of SDKs' own machinery last. */
export function leading(events: readonly EventName[], most: number): string[] {
  const names = [...events].sort((one, other) => other.count - one.count).map((one) => one.event);
  return [...names.filter((name) => !name.startsWith("$")), ...names.filter((name) => name.startsWith("$"))].slice(
    0,
    most,
  );
}

export const TEMPLATES: Template[] = [
  {
    name: "Overview",
    about: "How many people come, what they do most, and whether they come back.",
    make: (events) => {
      const [first, second] = leading(events, 2);
      return laid("Overview", "How many people come, what they do most, and whether they come back.", [
        number("People", people({ compare: "previous_period" })),
        number("Events", { kind: "trend", series: [{ name: "Events" }], last: "30 days", compare: "previous_period" }),
        first ? number(first, trend(first, { compare: "previous_period" })) : null,
        second ? number(second, trend(second, { compare: "previous_period" })) : null,
        half("People a day", people()),
        half("Events by name", { kind: "trend", series: [{ name: "Events" }], last: "30 days", breakdown: ["@event"] }),
        half("Who comes back each week", {
          kind: "retention",
          start_event: first ?? { event: null },
          period: "week",
          intervals: 8,
          last: "8 weeks",
        }),
        half("New, returning, dormant", { kind: "lifecycle", interval: "week", last: "12 weeks" }),
      ]);
    },
  },
  {
    name: "Growth",
    about: "From the first step to the last, where people come from, and how they stick.",
    make: (events) => {
      const steps = leading(events, 4);
      return laid("Growth", "From the first step to the last, where people come from, and how they stick.", [
        steps.length > 1
          ? {
              ...half("From step to step", { kind: "funnel", steps, last: "30 days" }),
              w: 12,
              chart: { type: "funnel" },
            }
          : null,
        half("People by channel", people({ breakdown: ["@channel"] })),
        half("People by country", people({ breakdown: ["@country"] })),
        half("Days of use", { kind: "stickiness", series: [{ name: "People" }], last: "30 days" }),
        half("Active each day, week, month", {
          kind: "trend",
          last: "90 days",
          series: [
            { measure: "unique", name: "Day" },
            { measure: "unique", over: "7 days", name: "Week" },
            { measure: "unique", over: "28 days", name: "Month" },
          ],
        }),
      ]);
    },
  },
  {
    name: "Quality of data",
    about: "What comes in, from which senders, and how late.",
    make: () =>
      laid("Quality of data", "What comes in, from which senders, and how late.", [
        half("Events by sender’s library", {
          kind: "trend",
          series: [{ name: "Events" }],
          last: "7 days",
          interval: "hour",
          breakdown: ["@library"],
        }),
        half("Events by name", { kind: "trend", series: [{ name: "Events" }], last: "7 days", breakdown: ["@event"] }),
        half("How late events arrive", {
          kind: "sql",
          sql: "SELECT toStartOfHour(time_received) AS hour, quantileExact(0.5)(dateDiff('second', time, time_received)) AS median_seconds, quantileExact(0.99)(dateDiff('second', time, time_received)) AS p99_seconds FROM events WHERE time_received > now() - INTERVAL 2 DAY GROUP BY hour ORDER BY hour",
        }),
        half("Bots", { kind: "trend", series: [{ name: "Events" }], last: "30 days", breakdown: ["@is_bot"] }),
      ]),
  },
];
