import type { CheckedBuffer } from "./checked-buffer.ts";

/** How a field of a table, or an element of a vector, is read. */
export interface Field<T> {
  /** Bytes that it takes where it is. */
  readonly size: number;
  /** What an absent field stands for. */
  readonly absent: T;
  read(buffer: CheckedBuffer, at: number): T;
}

const scalar = <T>(size: number, absent: T, get: (view: DataView, at: number) => T): Field<T> => ({
  size,
  absent,
  read: (buffer, at) => get(buffer.view(at, size), at),
});

export const bool = scalar(1, false, (view, at) => view.getUint8(at) !== 0);
export const byte = scalar(1, 0, (view, at) => view.getInt8(at));
export const ubyte = scalar(1, 0, (view, at) => view.getUint8(at));
export const int = scalar(4, 0, (view, at) => view.getInt32(at, true));
export const uint = scalar(4, 0, (view, at) => view.getUint32(at, true));
export const long = scalar(8, 0n, (view, at) => view.getBigInt64(at, true));
export const ulong = scalar(8, 0n, (view, at) => view.getBigUint64(at, true));
export const double = scalar(8, 0, (view, at) => view.getFloat64(at, true));

export const text: Field<string | null> = { size: 4, absent: null, read: (buffer, at) => buffer.text(at) };

/** A vector of bytes: those of the buffer, not a copy. */
export const bytes: Field<Uint8Array | null> = {
  size: 4,
  absent: null,
  read: (buffer, at) => buffer.bytes(at),
};

/** A vector of numbers. */
export const numbers = <T>(element: Field<T>): Field<readonly T[] | null> => ({
  size: 4,
  absent: null,
  read(buffer, at) {
    const length = buffer.count(at, element.size);
    const start = buffer.follow(at) + 4;
    return Array.from({ length }, (_, i) => element.read(buffer, start + i * element.size));
  },
});

/** A vector of tables or texts. Absent, it is empty. */
export const list = <T>(element: Field<T>): Field<readonly NonNullable<T>[]> => ({
  ...(numbers(element) as Field<readonly NonNullable<T>[]>),
  absent: [],
});

/** Of a field that has a default. */
export const orElse = <T>(field: Field<T>, absent: T): Field<T> => ({
  ...field,
  absent,
});

/** A table of a union: which one it is, the field before says. */
export const union: Field<<T>(table: Field<T | null>) => T | null> = {
  size: 4,
  absent: () => null,
  read: (buffer, at) => (table) => table.read(buffer, at),
};

export type TableOf<F> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };
/** What a field that is there gives. */
export type Content<F> = F extends Field<infer T> ? NonNullable<T> : never;

/** A table, from its fields in the order of their ids. All that it leads to is read at once, but for unions. */
export const table = <F extends Readonly<Record<string, Field<unknown>>>>(
  fields: F,
): Field<TableOf<F> | null> => ({
  size: 4,
  absent: null,
  read(buffer, at) {
    const start = buffer.follow(at);
    const contents = Object.entries(fields).map(([name, field], id) => {
      const place = buffer.field(start, id);
      return [name, place === 0 ? field.absent : field.read(buffer, place)];
    });
    return Object.fromEntries(contents) as TableOf<F>;
  },
});

/** The table that a flatbuffer begins with. */
export const rootOf = <T>(buffer: CheckedBuffer, root: Field<T>): NonNullable<T> => root.read(buffer, 0)!;
