import { ceilDivideDims, type Dim, maxOf, multiplyDims, sameDim } from "../../tensor/dim.ts";
import type { DType } from "../../tensor/dtype.ts";
import { wgslSize } from "./wgsl.ts";

/** What an element is in a shader. Values in memory have 4 bytes each: a bool is a u32, 0 or 1. */
export type ElementType = "f32" | "i32" | "u32" | "bool";

/** A tensor that a generic shader reads, dense and in row-major order. */
export interface Operand {
  readonly shape: readonly Dim[];
  readonly dtype: DType;
  /** Whether it is a constant of the program: narrow elements are packed then, others have 4 bytes as all values have. */
  readonly constant: boolean;
  /** The number of an earlier operand that is the same value, which one dispatch may not bind twice. */
  readonly sameAs?: number;
}

const elementTypes: { readonly [D in DType]?: ElementType } = {
  f32: "f32",
  f16: "f32",
  bf16: "f32",
  i64: "i32",
  i32: "i32",
  i16: "i32",
  i8: "i32",
  u32: "u32",
  u16: "u32",
  u8: "u32",
  bool: "bool",
};

/** What a tensor's elements are in a shader; undefined where shaders have no such type. */
export const elementType = (dtype: DType): ElementType | undefined => elementTypes[dtype];

/** @throws Error where shaders have no such type */
export function requireElementType(dtype: DType): ElementType {
  const type = elementType(dtype);
  if (type === undefined) throw new Error(`shaders have no ${dtype}`);
  return type;
}

/** Why shaders cannot work with these dtypes, as a sentence; undefined when they can. */
export function unsupportedDType(dtypes: readonly DType[]): string | undefined {
  const missing = dtypes.find((dtype) => elementType(dtype) === undefined);
  return missing && `shaders have no ${missing}`;
}

/** WGSL type of an element in memory. */
export const memoryType = (type: ElementType): string => (type === "bool" ? "u32" : type);

/** WGSL that makes an element in memory of one in a variable. */
export const toMemory = (type: ElementType, value: string): string =>
  type === "bool" ? `select(0u, 1u, ${value})` : value;

/** The bindings of operands by name: the name and `type` and `access` of each that is bound. */
export function operandBindings(operands: Readonly<Record<string, Operand>>) {
  const bound = Object.entries(operands).filter(([, { sameAs }]) => sameAs === undefined);
  return Object.fromEntries(
    bound.map(([name, { constant, dtype }]) => [
      name,
      constant
        ? ({ type: "array<u32>", access: "constant" } as const)
        : ({ type: `array<${memoryType(requireElementType(dtype))}>`, access: "value" } as const),
    ]),
  );
}

/** The WGSL functions `NAME_at(i: u32)` that read an element of each operand. */
export function operandFunctions(operands: Readonly<Record<string, Operand>>): string {
  const names = Object.keys(operands);
  return Object.entries(operands)
    .map(([name, operand]) => {
      const type = requireElementType(operand.dtype);
      const element = elementOf(operand, names[operand.sameAs ?? names.indexOf(name)]!);
      return `fn ${name}_at(i: u32) -> ${type} { return ${element}; }`;
    })
    .join("\n");
}

function elementOf({ dtype, constant }: Operand, name: string): string {
  const byte = (bits: number) =>
    `(${name}[i / ${32 / bits}u] << (${32 - bits}u - i % ${32 / bits}u * ${bits}u))`;
  if (!constant) return dtype === "bool" ? `${name}[i] != 0u` : `${name}[i]`;
  switch (dtype) {
    case "f16":
      return `unpack2x16float(${name}[i / 2u])[i % 2u]`;
    case "bf16":
      return `bitcast<f32>((${name}[i / 2u] >> (i % 2u * 16u)) << 16u)`;
    case "i16":
      return `bitcast<i32>${byte(16)} >> 16u`;
    case "i8":
      return `bitcast<i32>${byte(8)} >> 24u`;
    case "u16":
      return `${byte(16)} >> 16u`;
    case "u8":
      return `${byte(8)} >> 24u`;
    case "bool":
      return `${name}[i] != 0u`;
    default:
      return `bitcast<${requireElementType(dtype)}>(${name}[i])`;
  }
}

/** Elements from one position to the next along each axis of a dense tensor. */
export function stridesOf(shape: readonly Dim[]): readonly Dim[] {
  const strides: Dim[] = [];
  let stride: Dim = 1;
  for (const size of shape.toReversed()) {
    strides.unshift(stride);
    stride = multiplyDims(stride, size);
  }
  return strides;
}

/** The strides with which a tensor is read as one of another shape that it is broadcast to. */
export function broadcastStrides(shape: readonly Dim[], to: readonly Dim[]): readonly Dim[] {
  const strides = stridesOf(shape);
  const shift = to.length - shape.length;
  return to.map((_, axis) => (axis < shift || shape[axis - shift] === 1 ? 0 : strides[axis - shift]!));
}

/** WGSL that declares the coordinates NAME0, NAME1, … of element `index` of a shape. */
export function coordinates(name: string, index: string, shape: readonly Dim[]): string {
  const lines = [`var ${name}_rest = ${index};`];
  for (let axis = shape.length - 1; axis > 0; axis--) {
    const size = wgslSize(shape[axis]!);
    lines.push(`let ${name}${axis} = ${name}_rest % ${size};`, `${name}_rest /= ${size};`);
  }
  if (shape.length > 0) lines.push(`let ${name}0 = ${name}_rest;`);
  return lines.join("\n");
}

/** WGSL for the offset of the element at coordinates NAME0, NAME1, …. */
export function offsetOf(name: string, strides: readonly Dim[]): string {
  const terms = strides.flatMap((stride, axis) =>
    stride === 0 ? [] : stride === 1 ? [`${name}${axis}`] : [`${name}${axis} * ${wgslSize(stride)}`],
  );
  return terms.length === 0 ? "0u" : terms.join(" + ");
}

/** A size of which parts may be negative, as u32: where it is itself, adding it or multiplying by it wraps around. */
export function wgslSigned(size: Dim): string {
  if (typeof size === "number") return `${size >>> 0}u`;
  const text = wgslSize(size);
  if (text.includes("_u32(")) return text.replace(/\(-/g, "(0u - ");
  return `u32(${text.replace(/\b(\d+)u\b/g, "$1i").replace(/symbols\.\w/g, "i32($&)")})`;
}

export const isSameShape = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((size, axis) => sameDim(size, b[axis]!));

const elementsSize = 64;
const maxWorkgroups = 65535;

/** A dispatch whose invocations see each `index` below `count` once, in the WGSL that `body` is. */
export function forEachElement(count: Dim, body: string) {
  const each = Math.max(1, Math.ceil(maxOf(count) / (elementsSize * maxWorkgroups)));
  return {
    workgroupSize: elementsSize,
    workgroups: [ceilDivideDims(count, elementsSize * each), 1, 1] as const,
    body: `
  for (var turn = 0u; turn < ${each}u; turn++) {
    let index = (workgroup.x * ${each}u + turn) * ${elementsSize}u + local;
    if (index >= ${wgslSize(count)}) { break; }
    ${body}
  }`,
  };
}

/** A dispatch whose workgroups see each `row` below `count` once, in the WGSL that `body` is; it may have barriers. */
export function forEachRow(count: Dim, body: string) {
  const each = Math.max(1, Math.ceil(maxOf(count) / maxWorkgroups));
  return {
    workgroups: [ceilDivideDims(count, each), 1, 1] as const,
    body: `
  for (var turn = 0u; turn < ${each}u; turn++) {
    let row = workgroup.x * ${each}u + turn;
    if (row >= ${wgslSize(count)}) { break; }
    ${body}
  }`,
  };
}
