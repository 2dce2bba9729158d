import type { DType } from "../../tensor/dtype.ts";

/** `TensorProto.DataType` of onnx.proto, by number; newer than what the schema's package knows. */
const dataTypes: readonly { readonly name: string; readonly dtype?: DType }[] = [
  { name: "undefined" },
  { name: "float", dtype: "f32" },
  { name: "uint8", dtype: "u8" },
  { name: "int8", dtype: "i8" },
  { name: "uint16", dtype: "u16" },
  { name: "int16", dtype: "i16" },
  { name: "int32", dtype: "i32" },
  { name: "int64", dtype: "i64" },
  { name: "string" },
  { name: "bool", dtype: "bool" },
  { name: "float16", dtype: "f16" },
  { name: "double", dtype: "f64" },
  { name: "uint32", dtype: "u32" },
  { name: "uint64", dtype: "u64" },
  { name: "complex64" },
  { name: "complex128" },
  { name: "bfloat16", dtype: "bf16" },
  { name: "float8e4m3fn" },
  { name: "float8e4m3fnuz" },
  { name: "float8e5m2" },
  { name: "float8e5m2fnuz" },
  { name: "uint4", dtype: "u4" },
  { name: "int4", dtype: "i4" },
  { name: "float4e2m1" },
  { name: "float8e8m0" },
  { name: "uint2", dtype: "u2" },
  { name: "int2", dtype: "i2" },
];

/** The element type of an ONNX data type number; undefined for those that the IR does not have. */
export const dtypeOfDataType = (dataType: number): DType | undefined => dataTypes[dataType]?.dtype;

/** What ONNX calls the type, for messages. */
export const dataTypeName = (dataType: number): string =>
  dataTypes[dataType]?.name ?? `data type ${dataType}`;
