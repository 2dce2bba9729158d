/**
 * Modules that say of each of a schema's tables how it is read (src/serialize/table.ts): its fields in the order of
 * their ids.
 * @param schema what `schemaTables` gives
 * @param {Map<string, string>} files file names of the modules of tables and enums, by the names of these
 * @returns {Map<string, string>} modules by the names of tables
 */
export function readerModules(schema, files) {
  const modules = new Map();
  for (const [table, fields] of Object.entries(schema.tables)) {
    const members = fields.flatMap(([field, type, absent]) => {
      const name = field.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
      if (schema.unions[type] !== undefined) return [`${name}Type: ubyte`, `${name}: union`];
      return [`${name}: ${reader(schema, type, absent)}`];
    });
    modules.set(table, moduleText(table, members, files));
  }
  return modules;
}

/** Lets a bundler leave out what nothing reads. */
const pure = "/* @__PURE__ */";

/** How a field is read; `absent` is its default, where it has one. */
function reader(schema, type, absent) {
  const element = /^\[(.*)\]$/.exec(type)?.[1];
  if (element !== undefined) {
    const read = reader(schema, element);
    const isScalar = schema.tables[element] === undefined && element !== "string";
    if (read === "ubyte") return "bytes";
    return `${pure} ${isScalar ? "numbers" : "list"}(${read})`;
  }
  if (schema.tables[type] !== undefined) return type;
  if (type === "string") return "text";
  const base = schema.enums[type]?.base ?? type;
  const value = defaultValue(schema, type, absent);
  if (value === undefined || value === "0" || value === "false") return base;
  return `${pure} orElse(${base}, ${value}${/long$/.test(base) ? "n" : ""})`;
}

/** An enum's member as its number, so that the enum need not be there to say it. */
function defaultValue(schema, type, absent) {
  const [number] = Object.entries(schema.enums[type]?.names ?? {}).find(([, name]) => name === absent) ?? [
    absent,
  ];
  return number;
}

function moduleText(table, members, files) {
  const body = members.join("\n");
  const mentions = (name) => new RegExp(`[ (]${name}\\b(?!:)`).test(body);
  const helpers = [
    ...["bool", "byte", "bytes", "double", "int", "list", "long", "numbers", "orElse"],
    ...["text", "ubyte", "uint", "ulong", "union"],
  ].filter(mentions);
  const imports = [...files]
    .filter(([name]) => name !== table && mentions(name))
    .map(([name, file]) => `import { ${name} } from "./${file}";`);
  return `// automatically generated from the schema, do not modify

import { type Content, ${[...helpers, "table"].sort().join(", ")} } from "../../../table.ts";
${imports.map((line) => `${line}\n`).join("")}
export const ${table} = ${pure} table({${members.map((member) => `\n  ${member},`).join("")}
});
export type ${table} = Content<typeof ${table}>;
`;
}
