import vue from "@vitejs/plugin-vue";
import { ElementPlusResolver } from "unplugin-vue-components/resolvers";
import components from "unplugin-vue-components/vite";
import { defineConfig } from "vitest/config";

// The site is served by the control centre under a strict content policy: no inline script, nothing from outside.
export default defineConfig({
  plugins: [
    vue(),
    components({ dirs: [], dts: "src/components.d.ts", resolvers: [ElementPlusResolver({ importStyle: "css" })] }),
  ],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    // Nothing is inlined as a data: address: the content policy allows 'self' only.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8099", ws: true } } },
  test: { environment: "node", include: ["test/**/*.test.ts"] },
});
