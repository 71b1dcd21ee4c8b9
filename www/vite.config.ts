import { svelte } from "@sveltejs/vite-plugin-svelte";
import vue from "@vitejs/plugin-vue";
import { defineConfig, loadEnv, type Plugin } from "vite";
import solid from "vite-plugin-solid";

import { pages, completePage, frameworks } from "./pages.ts";

/**
 * The content security policy of the built pages: everything from their own origin, and WebAssembly.
 * Only the build has it, because the dev server injects styles inline.
 */
const policy = (connect: string): string => [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  `connect-src 'self'${connect}`,
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const contentSecurityPolicy: Plugin = {
  name: "content-security-policy",
  apply: "build",
  transformIndexHtml: (_, { path }) => {
    // Of this page, the reader names the project that it connects to.
    const content = policy(path.includes("/supabase/") ? " https: wss: http://127.0.0.1:* ws://127.0.0.1:*" : "");
    return [{ tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content }, injectTo: "head-prepend" }];
  },
};

/** Runs before Vite collects styles and scripts, because the parts refer to some. */
const parts: Plugin = {
  name: "parts",
  transformIndexHtml: { order: "pre", handler: (html, { path }) => completePage(html, path) },
};

export default defineConfig(({ mode }) => {
  // `DATUM_SERVER=http://127.0.0.1:<port> npm run dev` proxies the remote's paths to a running server.
  const server = loadEnv(mode, ".", "DATUM_")["DATUM_SERVER"];
  return {
    base: "./",
    // Each framework has a page of its own. React's JSX needs no plugin.
    plugins: [parts, contentSecurityPolicy, vue(), svelte({ configFile: false, compilerOptions: { css: "external" } }), solid({ include: /solid\.tsx/ })],
    build: {
      target: ["chrome123", "firefox128", "safari17.5"],
      assetsInlineLimit: 0, // The policy forbids data: URLs.
      modulePreload: { polyfill: false },
      rolldownOptions: { input: ["index.html", "guide/index.html", ...pages.map((page) => `guide/${page.name}/index.html`), ...frameworks.map((page) => `frameworks/${page.name}/index.html`)] },
    },
    server: server ? { proxy: { "/sync": server, "/dev/token": server } } : {},
  };
});
