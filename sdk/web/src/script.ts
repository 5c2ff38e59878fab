/** The script for a `<script>` element: it starts by its `data-` attributes, or by `almanac.init(…)`, and does what was asked before it came. */
import { attempt } from "./attempt";
import { create } from "./client";
import type { Almanac, Options } from "./types";

declare const __AUTOCAPTURE__: string;

type Call = [keyof Almanac | "init", ...unknown[]];
type Here = Partial<Almanac> & { init?: (options: Options) => Almanac; q?: Call[] };

const page = window as unknown as { almanac?: Here };
const own = document.currentScript as HTMLScriptElement | null;
const before = page.almanac;
const address = own?.src ?? "";
const waiting = before?.q ?? [];

/** What the attributes say: `data-flush-seconds="2"` is `flushSeconds: 2`; what is no JSON is text. */
function optionsOf(said: DOMStringMap): Options {
  const found: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(said)) {
    found[name] = attempt(() => JSON.parse(text ?? "")) ?? text;
  }
  return { ...found, key: said.key ?? "" };
}

function start(options: Options): Almanac {
  const host = address.includes("/sdk/") ? address.split("/sdk/")[0] : address && new URL(address).origin;
  // The same folder; by its full name, so that both are of one build.
  const part = new URL(__AUTOCAPTURE__, address || location.href).href;
  const client = create({ host, ...options }, () => import(/* @vite-ignore */ part));
  const here = Object.assign(client, { init: () => client });
  page.almanac = here;
  for (const [name, ...given] of waiting.splice(0))
    (here as unknown as Record<string, (...given: unknown[]) => unknown>)[name]?.(...given);
  return client;
}

if (before?.q || !before?.init) {
  const asked = waiting.find(([name]) => name === "init");
  if (own?.dataset.key) start(optionsOf(own.dataset));
  else if (asked) start(asked[1] as Options);
  else page.almanac = { ...before, init: start };
}
