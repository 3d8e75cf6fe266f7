// Says which sources dist/ was built from: `write` lists their hashes in dist/sources.sha256, `check` holds the list against what is there.
// The list has the form of sha256sum, so that `sha256sum --check dist/sources.sha256` reads it, too.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
const LIST = join(web, "dist", "sources.sha256");
const FILES = ["index.html", "openapi.json", "package-lock.json", "package.json", "svelte.config.js", "tsconfig.json", "vite.config.ts"];
// Made of openapi.json.
const MADE = "src/api/schema.d.ts";

const inFolder = readdirSync(join(web, "src"), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(web.length + 1).replaceAll("\\", "/"));
const sources = [...FILES, ...inFolder].filter((name) => name !== MADE).sort();
const hash = (name) => createHash("sha256").update(readFileSync(join(web, name))).digest("hex");
const list = sources.map((name) => `${hash(name)}  ${name}\n`).join("");

if (process.argv[2] === "write") {
  writeFileSync(LIST, list);
} else if (readFileSync(LIST, "utf8") !== list) {
  console.error("web/dist is stale: npm run build --prefix web");
  process.exit(1);
}
