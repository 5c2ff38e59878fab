/** Live answers: one WebSocket for the whole app, many subscriptions; it comes back by itself and goes on from what it had. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import type { Answer, Question, Row } from "./types";

type Message = Record<string, unknown> & { type: string; id?: string };
type Followed = { project: string; what: Record<string, unknown>; version: string; take: (message: Message) => void };
export type LiveState = "idle" | "connecting" | "open" | "waiting";

const LONGEST_WAIT = 30_000;
const LINGER = 3_000;

class Live {
  private socket: WebSocket | null = null;
  private followed = new Map<string, Followed>();
  private watchers = new Set<() => void>();
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private linger: ReturnType<typeof setTimeout> | null = null;
  private count = 0;
  state: LiveState = "idle";

  follow(project: string, what: Record<string, unknown>, take: (message: Message) => void): () => void {
    this.count += 1;
    const id = `s${this.count}`;
    this.followed.set(id, { project, what, version: "", take });
    if (this.state === "open") this.subscribe(id);
    else if (!this.socket && !this.timer) this.connect();
    return () => {
      this.followed.delete(id);
      if (this.state === "open") this.send({ type: "unsubscribe", id });
      if (this.followed.size === 0) this.rest();
    };
  }

  watch = (told: () => void): (() => void) => {
    this.watchers.add(told);
    return () => this.watchers.delete(told);
  };

  now = (): LiveState => this.state;

  private become(state: LiveState): void {
    this.state = state;
    for (const told of this.watchers) told();
  }

  private connect(): void {
    this.timer = null;
    this.become("connecting");
    const address = new URL("/api/v1/live", window.location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address, ["almanac.v1"]);
    this.socket = socket;
    socket.onmessage = (event) => this.take(JSON.parse(String(event.data)) as Message);
    socket.onclose = () => this.lost(socket);
  }

  private take(message: Message): void {
    if (message.type === "welcome") {
      this.tries = 0;
      this.become("open");
      for (const id of this.followed.keys()) this.subscribe(id);
      return;
    }
    const followed = message.id ? this.followed.get(message.id) : undefined;
    if (!followed) return;
    if (typeof message.version === "string") followed.version = message.version;
    followed.take(message);
  }

  private subscribe(id: string): void {
    const followed = this.followed.get(id);
    if (!followed) return;
    const since = followed.version ? { since: followed.version } : {};
    this.send({ type: "subscribe", id, project: followed.project, ...followed.what, ...since });
  }

  private send(message: Record<string, unknown>): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private lost(socket: WebSocket): void {
    if (socket !== this.socket) return;
    this.socket = null;
    if (this.followed.size === 0) {
      this.become("idle");
      return;
    }
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** this.tries) * (0.75 + Math.random() / 2);
    this.tries += 1;
    this.become("waiting");
    this.timer = setTimeout(() => this.connect(), wait);
  }

  /** Nobody follows anything: the connection lingers a moment, as the next page often wants it. */
  private rest(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.linger) clearTimeout(this.linger);
    this.linger = setTimeout(() => {
      if (this.followed.size > 0) return;
      const socket = this.socket;
      this.socket = null;
      if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
      else socket?.close();
      this.become("idle");
    }, LINGER);
  }
}

const live = new Live();

/** Whether live answers come in: "waiting" means that the server is away and will be tried again. */
export function useLiveState(): LiveState {
  return useSyncExternalStore(live.watch, live.now);
}

/** An answer with a `change` of the server applied (docs/live.md). */
export function changed(answer: Answer, message: Message): Answer {
  const key = message.key as string[];
  const sign = (row: Row) => JSON.stringify(key.map((name) => row[name] ?? null));
  const placed = message.rows as { place: number; row: Row }[];
  const gone = new Set([...(message.removed as Row[]).map(sign), ...placed.map(({ row }) => sign(row))]);
  const rows = (answer.rows as Row[]).filter((row) => !gone.has(sign(row)));
  for (const { place, row } of placed) rows.splice(place, 0, row);
  return { ...answer, rows, receipt: { ...answer.receipt, ...(message.receipt as Row) } };
}

/** Keeps the answer that `useAnswer` shows for this question up to date while `on`. An error that ends it is given back. */
export function useLiveAnswer(project: string, question: Question | null, on: boolean): string {
  const client = useQueryClient();
  const [error, setError] = useState("");
  const key = JSON.stringify(question);
  useEffect(() => {
    setError("");
    if (!on || key === "null") return;
    const question = JSON.parse(key) as Question;
    const place = ["answer", project, question];
    let answer: Answer | undefined;
    return live.follow(project, { question }, (message) => {
      if (message.type === "snapshot") answer = message.answer as Answer;
      else if (message.type === "change" && answer) answer = changed(answer, message);
      else if (message.type === "error") setError(String((message.error as Row | undefined)?.message ?? ""));
      if (answer && message.type !== "error") {
        setError("");
        client.setQueryData(place, answer);
      }
    });
  }, [client, project, key, on]);
  return error;
}

/** The latest events as they come in, the newest first, at most `most`. */
export function useLiveEvents(
  project: string,
  on: boolean,
  event = "",
  most = 200,
): { events: Row[]; skipped: number } {
  const [found, setFound] = useState<{ events: Row[]; skipped: number }>({ events: [], skipped: 0 });
  useEffect(() => {
    if (!on) return;
    setFound({ events: [], skipped: 0 });
    return live.follow(project, { events: event ? { event } : {} }, (message) => {
      if (message.type !== "events") return;
      const fresh = message.events as Row[];
      setFound((before) => ({
        events: [...fresh, ...before.events].slice(0, most),
        skipped: before.skipped + Number(message.skipped ?? 0),
      }));
    });
  }, [project, on, event, most]);
  return found;
}
