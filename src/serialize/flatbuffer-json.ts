import type { ByteBuffer } from "flatbuffers";
import { required } from "./checked-buffer.ts";

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

type Scalar = (buffer: ByteBuffer, at: number) => FlatbufferJson;

const scalars: Readonly<Record<string, readonly [size: number, read: Scalar]>> = {
  bool: [1, (buffer, at) => buffer.readInt8(at) !== 0],
  byte: [1, (buffer, at) => buffer.readInt8(at)],
  ubyte: [1, (buffer, at) => buffer.readUint8(at)],
  int: [4, (buffer, at) => buffer.readInt32(at)],
  uint: [4, (buffer, at) => buffer.readUint32(at)],
  long: [8, (buffer, at) => integer(buffer.readInt64(at))],
  ulong: [8, (buffer, at) => integer(buffer.readUint64(at))],
  double: [8, (buffer, at) => double(buffer.readFloat64(at))],
};

const integer = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;

/** flatc prints 12 decimals, and reads what is no number from text. */
function double(value: number): number | string {
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
  buffer: ByteBuffer,
  schema: Schema,
): { readonly [field: string]: FlatbufferJson } {
  const table = (name: string, at: number): { readonly [field: string]: FlatbufferJson } => {
    const fields: [string, FlatbufferJson][] = [];
    let id = 0;
    for (const [field, type] of schema.tables[name]!) {
      const members = schema.unions[type];
      let target = type;
      if (members !== undefined) {
        const typeAt = buffer.__offset(at, slotOf(id++));
        const member = typeAt === 0 ? 0 : buffer.readUint8(at + typeAt);
        target = required(members[member] ?? null, `a name for member ${member} of ${type}`);
        if (typeAt !== 0) fields.push([`${field}_type`, target]);
      }
      const offset = buffer.__offset(at, slotOf(id++));
      if (offset !== 0 && target !== "NONE") fields.push([field, read(target, at + offset)]);
    }
    return Object.fromEntries(fields);
  };
  const read = (type: string, at: number): FlatbufferJson => {
    const scalar = scalars[type];
    if (scalar !== undefined) return scalar[1](buffer, at);
    if (type === "string") return buffer.__string(at) as string;
    const element = /^\[(.*)\]$/.exec(type)?.[1];
    if (element !== undefined) {
      const start = buffer.__vector(at);
      const length = buffer.__vector_len(at);
      if (element === "ubyte") return buffer.bytes().subarray(start, start + length);
      const size = sizeOf(element);
      return Array.from({ length }, (_, i) => read(element, start + i * size));
    }
    const members = schema.enums[type];
    if (members === undefined) return table(type, buffer.__indirect(at));
    const number = read(members.base, at) as number;
    return members.names[number] ?? number;
  };
  /** Bytes of an element of a vector: what is no scalar is there by a 32-bit offset. */
  const sizeOf = (type: string): number => scalars[schema.enums[type]?.base ?? type]?.[0] ?? 4;
  return table(schema.root, buffer.__indirect(buffer.position()));
}

/** Where the vtable has a field's offset. */
const slotOf = (id: number): number => 4 + 2 * id;
