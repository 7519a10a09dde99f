// What a browser fetches before any page is shown, compressed as the centre compresses it, and each page's own part; printed.
// The shell is the entry with all it imports and its styles; a page's part is what is fetched for it besides.
//   node dev/size.mjs            after a build; ends with 1 if the shell has 300 kB or more

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT = 300_000;
const dist = join(import.meta.dirname, "../dist");
const html = readFileSync(join(dist, "index.html"), "utf8");
const sizes = new Map(readdirSync(join(dist, "assets")).map((name) => [name, gzipSync(readFileSync(join(dist, "assets", name))).length]));
const text = (name) => readFileSync(join(dist, "assets", name), "utf8");

/** The files that `name` imports at once, itself among them. */
function closure(name, seen = new Set()) {
  if (seen.has(name) || !sizes.has(name)) return seen;
  seen.add(name);
  if (name.endsWith(".js")) for (const [, found] of text(name).matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) closure(found, seen);
  return seen;
}
const sum = (names) => [...names].reduce((all, name) => all + (sizes.get(name) ?? 0), 0);

const first = [...html.matchAll(/assets\/([^"]+)"/g)].map(([, name]) => name);
const shell = new Set(first.flatMap((name) => [...closure(name)]));
const bytes = sum(shell) + gzipSync(html).length;
console.log(`shell: ${(bytes / 1000).toFixed(1)} kB compressed in ${shell.size + 1} files (limit ${LIMIT / 1000} kB)`);
for (const name of [...sizes.keys()].filter((n) => /Page-|SignIn-/.test(n) && n.endsWith(".js")).sort()) {
  const own = new Set([...closure(name)].filter((part) => !shell.has(part)));
  console.log(`  ${name.replace(/-[\w-]{8}\.js$/, "").padEnd(18)} ${(sum(own) / 1000).toFixed(1).padStart(7)} kB besides`);
}
process.exitCode = bytes < LIMIT ? 0 : 1;
