/**
 * What a schema (.fbs) says, as data: enums, unions, and the fields of each table in the order of their ids. Takes
 * the part of the language that this project's schemas use, and throws at anything else.
 */
export function schemaTables(text) {
  const enums = {};
  const unions = {};
  const tables = {};
  let root;
  const declaration =
    /(namespace|root_type|file_identifier|file_extension) ([\w."]+);|(enum|union|table) (\w+)(?: : (\w+))? \{([^}]*)\}/y;
  const source = text.replace(/\/\/.*/g, "").trim();
  while (declaration.lastIndex < source.length) {
    const from = declaration.lastIndex;
    const match = declaration.exec(source);
    if (match === null) throw new Error(`cannot read the schema at: ${source.slice(from, from + 60)}`);
    const [, keyword, value, kind, name, base, body] = match;
    if (keyword === "root_type") root = value;
    if (kind === "enum") enums[name] = { base, names: enumNames(body) };
    if (kind === "union") unions[name] = ["NONE", ...list(body, ",")];
    if (kind === "table") tables[name] = list(body, ";").map(field);
    const space = /\s*/y;
    space.lastIndex = declaration.lastIndex;
    space.exec(source);
    declaration.lastIndex = space.lastIndex;
  }
  return { root, enums, unions, tables };
}

const list = (body, separator) =>
  body
    .split(separator)
    .map((item) => item.trim())
    .filter((item) => item !== "");

function enumNames(body) {
  const names = {};
  let next = 0;
  for (const item of list(body, ",")) {
    const [, name, number] = /^(\w+)(?: = (-?\d+))?$/.exec(item) ?? unreadable(item);
    if (number !== undefined) next = Number(number);
    names[next++] = name;
  }
  return names;
}

/** Name, type, and default if there is one. Attributes that give a field another id than its place would have to be read; alignment need not. */
function field(item) {
  const [, name, type, absent] =
    /^(\w+): (\[?\w+\]?)(?: = (-?\w+))?(?: \(force_align: \d+\))?$/.exec(item) ?? unreadable(item);
  return absent === undefined ? [name, type] : [name, type, absent];
}

function unreadable(item) {
  throw new Error(`cannot read the schema at: ${item}`);
}
