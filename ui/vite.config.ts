import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The app is served by `almanac serve` from the package itself: files with hashes in their names under /app/assets, no other host.
export default defineConfig({
  base: "/app/",
  plugins: [react()],
  build: { outDir: "../src/almanac/web/app", emptyOutDir: true, assetsDir: "assets", chunkSizeWarningLimit: 700 },
  server: {
    fs: { allow: [".."] }, // tests read the worked examples of the reference
    proxy: { "/api": { target: "http://127.0.0.1:8000", ws: true }, "/openapi.json": "http://127.0.0.1:8000" },
  },
});
