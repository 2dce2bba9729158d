/** Element types of tensors, in the IR, in files and at run time. */
export type DType =
  | "f64"
  | "f32"
  | "f16"
  | "bf16"
  | "i64"
  | "i32"
  | "i16"
  | "i8"
  | "i4"
  | "i2"
  | "u64"
  | "u32"
  | "u16"
  | "u8"
  | "u4"
  | "u2"
  | "bool"
  | "tq2_0"
  | "tq1_0";

/** Dtypes that hold ternary weights in blocks of 256, each block with an fp16 scale of its own (see `packing/`). */
export type TernaryDType = Extract<DType, "tq2_0" | "tq1_0">;

interface DTypeInfo {
  readonly kind: "float" | "int" | "bool" | "ternary";
  /** Bits of one element in a packed tensor; of a block format, those of whole blocks, their scales included. */
  readonly bits: number;
  /** Smallest and largest value of an integer type. */
  readonly range?: readonly [number, number];
}

const int = (bits: number): DTypeInfo => ({
  kind: "int",
  bits,
  range: [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1],
});
const uint = (bits: number): DTypeInfo => ({ kind: "int", bits, range: [0, 2 ** bits - 1] });

const dtypeInfo: { readonly [D in DType]: DTypeInfo } = {
  f64: { kind: "float", bits: 64 },
  f32: { kind: "float", bits: 32 },
  f16: { kind: "float", bits: 16 },
  bf16: { kind: "float", bits: 16 },
  i64: int(64),
  i32: int(32),
  i16: int(16),
  i8: int(8),
  i4: int(4),
  i2: int(2),
  u64: uint(64),
  u32: uint(32),
  u16: uint(16),
  u8: uint(8),
  u4: uint(4),
  u2: uint(2),
  bool: { kind: "bool", bits: 8 },
  tq2_0: { kind: "ternary", bits: 2.0625 },
  tq1_0: { kind: "ternary", bits: 1.6875 },
};

export const dtypes = Object.keys(dtypeInfo) as readonly DType[];
export const isDType = (name: string): name is DType => Object.hasOwn(dtypeInfo, name);
export const isFloat = (dtype: DType): boolean => dtypeInfo[dtype].kind === "float";
export const isInteger = (dtype: DType): boolean => dtypeInfo[dtype].kind === "int";
export const isTernaryBlock = (dtype: DType): dtype is TernaryDType => dtypeInfo[dtype].kind === "ternary";
export const bitsPerElement = (dtype: DType): number => dtypeInfo[dtype].bits;
/** Range of an integer type; floats and bool have none. */
export const integerRange = (dtype: DType): readonly [number, number] | undefined => dtypeInfo[dtype].range;
