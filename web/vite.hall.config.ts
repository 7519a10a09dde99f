import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import vue from "@vitejs/plugin-vue";
import { defineConfig, type Plugin } from "vite";

/** The edge agent only hands files out: what is worth compressing is compressed here, beside the file. */
function compressed(): Plugin {
  let folder = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved: (config) => {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (!/\.(js|css|html|svg)$/.test(entry)) continue;
        const file = resolve(folder, entry);
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
      }
    },
  };
}

// The hall's pages: what the edge agent carries in itself and serves at the hall. They share everything but the entry with
// the centre's site, and bring no component library, since a phone has to load them over the hall's network.
export default defineConfig({
  plugins: [vue(), compressed()],
  publicDir: "public",
  build: {
    outDir: "dist-hall",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { input: "hall.html" },
  },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8098" } } },
});
