import { existsSync } from "node:fs";
import { dirname, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as z from "zod";
import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, messageOf } from "../errors.ts";
import { readText } from "../node/file-source.ts";
import type { Plugin } from "../plugin.ts";
import { type OptionSpec, optionNames, options } from "./options.ts";
import { withoutDefault } from "./schema-kind.ts";

const pluginSchema = z.custom<Plugin>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    "name" in value &&
    typeof value.name === "string" &&
    "setup" in value &&
    typeof value.setup === "function",
  "a plugin is { name, setup }",
);

/** A configuration file: options under their names in camelCase, and plugins, as objects or as paths from the file. */
export const configSchema = z.strictObject({
  ...Object.fromEntries(
    optionNames
      .map((name) => [name, options[name] as OptionSpec] as const)
      .filter(([, spec]) => spec.inConfig)
      .map(([name, spec]) => [name, withoutDefault(spec.schema).optional()]),
  ),
  plugins: z.array(z.union([z.string(), pluginSchema])).optional(),
});

interface Config {
  readonly options: Readonly<Record<string, unknown>>;
  readonly plugins: readonly Plugin[];
}

const defaultNames = ["bitnetc.config.js", "bitnetc.config.mjs", "bitnetc.config.json"];

/**
 * Reads the configuration file at `path`, or the one that lies in the working folder.
 * @throws BitnetcError `config-file`, for everything that is wrong in it
 */
export async function loadConfig(path: string | undefined, folder = "."): Promise<Config> {
  const found = path ?? defaultNames.map((name) => resolve(folder, name)).find(existsSync);
  if (found === undefined) return { options: {}, plugins: [] };
  const value = await readValue(found);
  const result = configSchema.safeParse(value);
  if (!result.success) {
    throw new BitnetcError(
      result.error.issues.map((issue) => {
        const field = issue.path.map(String).join(".");
        return diagnostics.configFile(
          found,
          `is wrong${field === "" ? "" : ` at ${field}`}: ${issue.message}`,
        );
      }),
    );
  }
  const { plugins = [], ...rest } = result.data;
  const loaded = plugins.map((plugin) =>
    typeof plugin === "string" ? loadPlugin(resolve(dirname(found), plugin)) : plugin,
  );
  return { options: rest, plugins: await Promise.all(loaded) };
}

/**
 * The default export of a JavaScript module.
 * @throws BitnetcError `plugin-file`
 */
export async function loadPlugin(path: string): Promise<Plugin> {
  const result = pluginSchema.safeParse(await importDefault(path, diagnostics.pluginFile));
  if (result.success) return result.data;
  throw new BitnetcError(diagnostics.pluginFile(path, "has no default export of the form { name, setup }"));
}

async function readValue(path: string): Promise<unknown> {
  if (extname(path) !== ".json") return importDefault(path, diagnostics.configFile);
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BitnetcError(diagnostics.configFile(path, `is not JSON: ${messageOf(cause)}`), { cause });
  }
}

async function importDefault(path: string, fault: typeof diagnostics.configFile): Promise<unknown> {
  await readText(path);
  try {
    const module: { readonly default?: unknown } = await import(pathToFileURL(resolve(path)).href);
    return module.default;
  } catch (cause) {
    throw new BitnetcError(fault(path, `cannot be loaded: ${messageOf(cause)}`), { cause });
  }
}
