import { expect, test } from "vitest";
import { propertiesOf } from "./autocapture";
import { changed, opening, recalled, stateOf } from "./consent";
import { bodyOf, pause, portion, verdict, type Waiting } from "./delivery";
import { madeAt, uuid } from "./id";
import { sessionAt } from "./session";

const NOW = Date.UTC(2026, 10, 21, 12);
const item = (id: string, text = "{}"): Waiting => ({ id, text, purpose: "analytics" });

test("an id is a UUID of version 7, tells when it was made, and stands in the order of time", () => {
  const ids = [NOW, NOW + 1, NOW + 3_600_000].map(uuid);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect([...ids].sort()).toEqual(ids);
  expect(ids.map(madeAt)).toEqual([NOW, NOW + 1, NOW + 3_600_000]);
  const within = Array.from({ length: 1000 }, () => uuid(NOW));
  expect(new Set(within).size).toBe(1000);
  expect([...within].sort()).toEqual(within);
});

test("a session ends after half an hour without an event, exactly half an hour still belongs", () => {
  const idle = 30 * 60_000;
  const make = (now: number) => `s${now}`;
  const first = sessionAt(undefined, 0, idle, make);
  expect(first).toEqual({ id: "s0", begun: 0, active: 0 });
  const second = sessionAt(first, idle, idle, make);
  expect(second).toEqual({ id: "s0", begun: 0, active: idle });
  expect(sessionAt(second, 2 * idle + 1, idle, make).id).toBe(`s${2 * idle + 1}`);
});

test("a session lasts a day at most, and a clock that was set back a little does not end it", () => {
  const day = 86_400_000;
  expect(sessionAt({ id: "s", begun: 0, active: day - 1000 }, day, 60_000, () => "new").id).toBe("new");
  const late = { id: "s", begun: 5000, active: 9000 };
  expect(sessionAt(late, 8000, 60_000, () => "new")).toEqual(late);
  expect(sessionAt(late, -100_000, 60_000, () => "new").id).toBe("new");
});

test("without a word of consent everything is granted, and a signal of the browser turns that into a denial", () => {
  expect(stateOf(opening(undefined, false), "analytics")).toBe("granted");
  expect(stateOf(opening(undefined, true), "analytics")).toBe("denied");
  expect(stateOf(opening("pending", true), "analytics")).toBe("pending");
  const book = opening({ analytics: "granted", marketing: "pending" }, true);
  expect([stateOf(book, "analytics"), stateOf(book, "marketing"), stateOf(book, "other")]).toEqual([
    "denied",
    "pending",
    "denied",
  ]);
});

test("what is not named is denied once purposes are named", () => {
  const book = opening({ analytics: "granted" }, false);
  expect(stateOf(book, "marketing")).toBe("denied");
  expect(stateOf(changed(book, { marketing: "granted" }), "marketing")).toBe("granted");
  expect(stateOf(changed(book, "denied"), "analytics")).toBe("denied");
});

test("an earlier answer counts for what is pending only", () => {
  const kept = changed(opening("pending", false), { analytics: "granted", marketing: "denied" });
  const pending = recalled(opening("pending", false), kept);
  expect([stateOf(pending, "analytics"), stateOf(pending, "marketing"), stateOf(pending, "other")]).toEqual([
    "granted",
    "denied",
    "pending",
  ]);
  expect(stateOf(recalled(opening("denied", false), kept), "analytics")).toBe("denied");
  expect(stateOf(recalled(opening({ marketing: "granted" }, false), kept), "marketing")).toBe("granted");
  expect(stateOf(recalled(opening("pending", false), opening("pending", false)), "analytics")).toBe("pending");
});

test("a request holds what fits, one event at least", () => {
  const queue = [item("a", "x".repeat(30_000)), item("b", "x".repeat(20_000)), item("c")];
  expect(portion(queue, 50).map(({ id }) => id)).toEqual(["a"]);
  expect(portion(queue.slice(1), 50).map(({ id }) => id)).toEqual(["b", "c"]);
  expect(portion(queue.slice(1), 1).map(({ id }) => id)).toEqual(["b"]);
  expect(portion([item("a", "x".repeat(90_000))], 50)).toHaveLength(1);
  expect(portion([], 50)).toEqual([]);
});

test("a body is JSON with the events, the time of sending and the key", () => {
  const body = JSON.parse(new TextDecoder().decode(bodyOf([item("a", '{"id":"ä"}'), item("b")], 'k"1', NOW)));
  expect(body).toEqual({ batch: [{ id: "ä" }, {}], sent_at: "2026-11-21T12:00:00.000Z", write_key: 'k"1' });
});

test("only a success that speaks of accepted events is one", () => {
  expect(verdict(200, '{"status":1,"accepted":2,"rejected":[]}')).toBe("done");
  expect(verdict(200, "<html>Welcome to our Wi-Fi</html>")).toBe("later");
  for (const status of [400, 413]) expect(verdict(status, "{}")).toBe("smaller");
  for (const status of [0, 302, 401, 403, 404, 408, 429, 500, 502, 503]) expect(verdict(status, "{}")).toBe("later");
});

test("pauses double to a minute, half of each by chance, and are never shorter than the server asks", () => {
  expect([0, 1, 2, 5, 6, 50].map((attempt) => pause(attempt, null, NOW, 0))).toEqual([1e3, 2e3, 4e3, 32e3, 6e4, 6e4]);
  expect(pause(0, null, NOW, 1)).toBe(500);
  expect(pause(0, "7", NOW, 0)).toBe(7e3);
  expect(pause(6, "7", NOW, 0)).toBe(6e4);
  expect(pause(0, "Sat, 21 Nov 2026 12:00:30 GMT", NOW, 0)).toBe(3e4);
  expect(pause(0, "999999", NOW, 0)).toBe(36e5);
  expect(pause(0, "soon", NOW, 0)).toBe(1e3);
});

test("a mark's attributes become properties, numbers as numbers", () => {
  const said: Record<string, string> = {
    "data-almanac": "Ticket chosen",
    "data-almanac-ticket-price": "12.50",
    "data-almanac-count": "-3",
    "data-almanac-code": "007",
    "data-almanac-plan": "",
    class: "big",
  };
  const element = { getAttributeNames: () => Object.keys(said), getAttribute: (name: string) => said[name] ?? null };
  expect(propertiesOf(element)).toEqual({ ticket_price: 12.5, count: -3, code: "007", plan: "" });
});
