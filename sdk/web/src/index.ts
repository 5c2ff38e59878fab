/** The module: `import { init } from "almanac-web"`. */
import { create } from "./client";
import type { Almanac, Options } from "./types";

export type * from "./types";

/** Starts counting, and gives what the page says it by. */
export const init = (options: Options): Almanac => create(options, () => import("./autocapture"));
