import type { z } from "zod";
import * as diagnostics from "../diagnostics.ts";
import type { Diagnostic } from "../errors.ts";
import { type FileSet, readAll } from "../tensor/source.ts";

/** Reads a text file as strict UTF-8. What is wrong with it goes to `faults`. */
export async function readText(
  files: FileSet,
  path: string,
  faults: Diagnostic[],
): Promise<string | undefined> {
  const source = await files.open(path);
  if (source === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readAll(source));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    faults.push(diagnostics.fileNotText(path));
    return undefined;
  }
}

/**
 * Reads and validates a JSON file of the set.
 * @returns undefined where there is no such file, or it is not valid: then `faults` has grown, by one entry
 * for each field that is wrong
 */
export async function readJson<T extends z.ZodType>(
  files: FileSet,
  path: string,
  schema: T,
  faults: Diagnostic[],
): Promise<z.output<T> | undefined> {
  const text = await readText(files, path, faults);
  if (text === undefined) return undefined;
  return parseJson(path, text, schema, faults);
}

/** Validates JSON text; `name` is what errors call it. Of a key that stands twice in an object, the last one counts. */
export function parseJson<T extends z.ZodType>(
  name: string,
  text: string,
  schema: T,
  faults: Diagnostic[],
): z.output<T> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    faults.push(diagnostics.jsonSyntax(name, error.message));
    return undefined;
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues)
    faults.push(diagnostics.jsonField(name, issue.path.map(String).join("."), issue.message));
  return undefined;
}
