import * as z from "zod";

/** What an option's schema says about it, as far as a command line, a help text and a completion need to know. */
interface SchemaKind {
  readonly type: "boolean" | "number" | "string" | "choice" | "list";
  readonly choices: readonly string[];
  readonly defaultValue: unknown;
}

export function kindOf(schema: z.ZodType): SchemaKind {
  const inner = withoutDefault(schema);
  const choices = inner instanceof z.ZodEnum ? inner.options.map(String) : [];
  const defaultValue = schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined;
  return { type: typeOf(inner), choices, defaultValue };
}

/** The schema of a value that is there. */
export function withoutDefault(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional) {
    return withoutDefault(schema.def.innerType as z.ZodType);
  }
  return schema;
}

function typeOf(schema: z.ZodType): SchemaKind["type"] {
  if (schema instanceof z.ZodEnum) return "choice";
  if (schema instanceof z.ZodArray) return "list";
  if (schema instanceof z.ZodNumber) return "number";
  return schema instanceof z.ZodBoolean ? "boolean" : "string";
}
