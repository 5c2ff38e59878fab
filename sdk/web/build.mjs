/** Builds what ships: `node build.mjs FOLDER` writes almanac.js (a script), index.mjs and autocapture.mjs (modules) and their types. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "../../ui/node_modules/vite/dist/node/index.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = process.argv[2];
const { version } = JSON.parse(readFileSync(`${here}package.json`, "utf8"));

async function bundle(entries, format, define = {}) {
  await build({
    root: here,
    configFile: false,
    logLevel: "warn",
    define: { __VERSION__: JSON.stringify(version), ...define },
    build: {
      outDir: folder,
      emptyOutDir: false,
      target: "es2021",
      lib: {
        entry: entries,
        formats: [format],
        name: "almanacScript",
        fileName: (_, name) => (format === "iife" ? `${name}.js` : `${name}.mjs`),
      },
      minify: true,
    },
  });
}

rmSync(folder, { recursive: true, force: true });
await bundle({ index: `${here}src/index.ts`, autocapture: `${here}src/autocapture.ts` }, "es");
const digest = createHash("sha256")
  .update(readFileSync(`${folder}/autocapture.mjs`))
  .digest("hex")
  .slice(0, 12);
await bundle({ almanac: `${here}src/script.ts` }, "iife", {
  __AUTOCAPTURE__: JSON.stringify(`autocapture.${digest}.mjs`),
});
const compiler = `${here}../../ui/node_modules/typescript/bin/tsc`;
execFileSync(process.execPath, [compiler, "--project", `${here}tsconfig.build.json`, "--outDir", `${folder}/types`]);
