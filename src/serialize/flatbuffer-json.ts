import { type CheckedBuffer, required } from "./checked-buffer.ts";
import { bool, byte, bytes, double, type Field, int, long, text, ubyte, uint, ulong } from "./table.ts";

/** A schema (.fbs) as data. The names of types are as they are written there: `int`, `Tensor`, `[int]`. */
export interface Schema {
  readonly root: string;
  readonly enums: Readonly<
    Record<string, { readonly base: string; readonly names: Readonly<Record<string, string>> }>
  >;
  /** Names of tables, by the number that stands for them. */
  readonly unions: Readonly<Record<string, readonly string[]>>;
  /** Names and types of fields, in the order of their ids. A union's field has two ids: its type's and its own. */
  readonly tables: Readonly<Record<string, readonly (readonly [name: string, type: string])[]>>;
}

/** A bigint is an integer that a number cannot hold exactly; bytes are a list of numbers. */
export type FlatbufferJson =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly FlatbufferJson[]
  | { readonly [field: string]: FlatbufferJson };

const fields: Readonly<Record<string, Field<FlatbufferJson | null>>> = {
  ...{ bool, byte, ubyte, int, uint, string: text, "[ubyte]": bytes },
  long: { ...long, read: (buffer, at) => integer(long.read(buffer, at)) },
  ulong: { ...ulong, read: (buffer, at) => integer(ulong.read(buffer, at)) },
  double: { ...double, read: (buffer, at) => decimal(double.read(buffer, at)) },
};

const integer = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;

/** flatc prints 12 decimals, and reads what is no number from text. */
function decimal(value: number): number | string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return value === 0 || Math.abs(value) >= 1e15 ? value : Number(value.toFixed(12));
}

/**
 * A flatbuffer as `flatc --json --strict-json` prints it with its schema: fields that are there under their names,
 * enums' members by their names, a union's type in the field before it with `_type` behind its name. Doubles have
 * 12 decimals, as there; infinities and NaN are text, where flatc's print is no JSON.
 * @throws RangeError with half a sentence for what does not fit the schema
 */
export function flatbufferJson(
  buffer: CheckedBuffer,
  schema: Schema,
): { readonly [field: string]: FlatbufferJson } {
  const table = (name: string, at: number): { readonly [field: string]: FlatbufferJson } => {
    const contents: [string, FlatbufferJson][] = [];
    let id = 0;
    for (const [field, type] of schema.tables[name]!) {
      const members = schema.unions[type];
      let target = type;
      if (members !== undefined) {
        const typeAt = buffer.field(at, id++);
        const member = typeAt === 0 ? 0 : ubyte.read(buffer, typeAt);
        target = required(members[member] ?? null, `a name for member ${member} of ${type}`);
        if (typeAt !== 0) contents.push([`${field}_type`, target]);
      }
      const place = buffer.field(at, id++);
      if (place !== 0 && target !== "NONE") contents.push([field, read(target, place)]);
    }
    return Object.fromEntries(contents);
  };
  const read = (type: string, at: number): FlatbufferJson => {
    const field = fields[type];
    if (field !== undefined) return field.read(buffer, at)!;
    const element = /^\[(.*)\]$/.exec(type)?.[1];
    if (element !== undefined) {
      const size = sizeOf(element);
      const length = buffer.count(at, size);
      const start = buffer.follow(at) + 4;
      return Array.from({ length }, (_, i) => read(element, start + i * size));
    }
    const members = schema.enums[type];
    if (members === undefined) return table(type, buffer.follow(at));
    const number = read(members.base, at) as number;
    return members.names[number] ?? number;
  };
  /** Bytes of an element of a vector: what is no scalar is there by a 32-bit offset. */
  const sizeOf = (type: string): number => fields[schema.enums[type]?.base ?? type]?.size ?? 4;
  return table(schema.root, buffer.follow(0));
}
