import type { DType } from "../../../../tensor/dtype.ts";
import { gateDeclaration } from "../../gates.ts";
import { type ElementType, requireElementType } from "../../operands.ts";
import type { GateFunction } from "../ternary.ts";

export interface ElementwiseAttrs {
  /** Of is_inf: which infinities count. */
  readonly negative?: boolean;
  readonly positive?: boolean;
  /** Of nn.gelu. */
  readonly approximate?: "none" | "tanh";
}

/** WGSL for a result from the variables a, b and c, and the functions that it calls. */
export interface Expression {
  readonly text: string;
  readonly declarations?: string;
}

const wrap = (text: string, declarations?: string): Expression => ({
  text,
  ...(declarations !== undefined && { declarations }),
});

// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: the absolute error is below 1.5e-7.
const erf = `fn erf(x: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.3275911 * abs(x));
  let sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sign(x) * (1.0 - sum * exp(-x * x));
}`;

// WGSL's pow knows no negative base.
const floatPower = `fn power(x: f32, y: f32) -> f32 {
  if (y == 0.0 || x == 1.0) { return 1.0; }
  if (y == 1.0) { return x; }
  if (y == 2.0) { return x * x; }
  if (x >= 0.0 || y != floor(y)) { return pow(x, y); }
  let size = pow(-x, y);
  return select(size, -size, floor(y * 0.5) * 2.0 != y);
}`;

const integerPower = `fn power(x: i32, y: i32) -> i32 {
  if (y < 0) { return select(select(0, select(1, -1, (y & 1) != 0), x == -1), 1, x == 1); }
  var result = 1;
  var base = x;
  for (var rest = u32(y); rest > 0u; rest >>= 1u) {
    if ((rest & 1u) != 0u) { result *= base; }
    base *= base;
  }
  return result;
}`;

const floatModulo = `fn modulo(x: f32, y: f32) -> f32 {
  let rest = x % y;
  return select(rest, rest + y, rest != 0.0 && (rest < 0.0) != (y < 0.0));
}`;

const integerModulo = `fn modulo(x: i32, y: i32) -> i32 {
  let rest = x % y;
  return select(rest, rest + y, rest != 0 && (rest < 0) != (y < 0));
}`;

const gate = (name: GateFunction) => wrap("gate_function(a)", gateDeclaration(name));

const floats: Readonly<Record<string, Expression>> = {
  neg: wrap("-a"),
  abs: wrap("abs(a)"),
  sign: wrap("sign(a)"),
  exp: wrap("exp(a)"),
  log: wrap("log(a)"),
  sqrt: wrap("sqrt(a)"),
  rsqrt: wrap("1.0 / sqrt(a)"),
  reciprocal: wrap("1.0 / a"),
  floor: wrap("floor(a)"),
  ceil: wrap("ceil(a)"),
  round: wrap("round(a)"),
  sin: wrap("sin(a)"),
  cos: wrap("cos(a)"),
  tan: wrap("tan(a)"),
  asin: wrap("asin(a)"),
  acos: wrap("acos(a)"),
  atan: wrap("atan(a)"),
  sinh: wrap("sinh(a)"),
  cosh: wrap("cosh(a)"),
  // beyond this it is 1 in f32, and e^x may overflow within
  tanh: wrap("tanh(clamp(a, -15.0, 15.0))"),
  asinh: wrap("sign(a) * log(abs(a) + sqrt(a * a + 1.0))"),
  acosh: wrap("log(a + sqrt(a * a - 1.0))"),
  atanh: wrap("0.5 * log((1.0 + a) / (1.0 - a))"),
  erf: wrap("erf(a)", erf),
  sigmoid: wrap("1.0 / (1.0 + exp(min(-a, 88.0)))"),
  relu: wrap("max(a, 0.0)"),
  is_nan: wrap("(bitcast<u32>(a) & 0x7fffffffu) > 0x7f800000u"),
  "nn.relu2": gate("relu2"),
  "nn.silu": gate("silu"),
  add: wrap("a + b"),
  sub: wrap("a - b"),
  mul: wrap("a * b"),
  div: wrap("a / b"),
  mod: wrap("modulo(a, b)", floatModulo),
  fmod: wrap("a % b"),
  pow: wrap("power(a, b)", floatPower),
};

const integers: Readonly<Record<string, Expression>> = {
  neg: wrap("-a"),
  abs: wrap("abs(a)"),
  sign: wrap("sign(a)"),
  floor: wrap("a"),
  ceil: wrap("a"),
  round: wrap("a"),
  relu: wrap("max(a, 0)"),
  mod: wrap("modulo(a, b)", integerModulo),
  pow: wrap("power(a, b)", integerPower),
  shift_left: wrap("select(a << (u32(b) & 31u), 0, b > 31)"),
  shift_right: wrap("a >> u32(min(b, 31))"),
};

const unsigned: Readonly<Record<string, Expression>> = {
  abs: wrap("a"),
  sign: wrap("min(a, 1u)"),
  floor: wrap("a"),
  ceil: wrap("a"),
  round: wrap("a"),
  relu: wrap("a"),
  mod: wrap("a % b"),
  shift_left: wrap("select(a << (b & 31u), 0u, b > 31u)"),
  shift_right: wrap("select(a >> (b & 31u), 0u, b > 31u)"),
};

const anyInteger = (type: "i32" | "u32"): Readonly<Record<string, Expression>> => ({
  add: wrap("a + b"),
  sub: wrap("a - b"),
  mul: wrap("a * b"),
  div: wrap(`select(a / b, ${type}(), b == ${type}())`),
  fmod: wrap("a % b"),
  bitwise_not: wrap("~a"),
  bitwise_and: wrap("a & b"),
  bitwise_or: wrap("a | b"),
  bitwise_xor: wrap("a ^ b"),
});

const numbers: Readonly<Record<string, Expression>> = {
  maximum: wrap("max(a, b)"),
  minimum: wrap("min(a, b)"),
  less: wrap("a < b"),
  less_equal: wrap("a <= b"),
  greater: wrap("a > b"),
  greater_equal: wrap("a >= b"),
};

const bools: Readonly<Record<string, Expression>> = {
  not: wrap("!a"),
  and: wrap("a && b"),
  or: wrap("a || b"),
  xor: wrap("a != b"),
};

const tables: { readonly [T in ElementType]: Readonly<Record<string, Expression>> } = {
  f32: { ...numbers, ...floats },
  i32: { ...numbers, ...anyInteger("i32"), ...integers },
  u32: { ...numbers, ...anyInteger("u32"), ...unsigned },
  bool: bools,
};

/** How an op computes an element from inputs of these dtypes; undefined where shaders cannot. */
export function expressionOf(
  op: string,
  inputs: readonly DType[],
  result: DType,
  attrs: ElementwiseAttrs,
): Expression | undefined {
  const types = inputs.map(requireElementType);
  const type = types[0]!;
  switch (op) {
    case "where":
      return wrap("select(c, b, a)");
    case "equal":
      return wrap("a == b");
    case "cast":
      // a cast to an integer of fewer bits wraps around, and the program's integers of 64 bits do not here
      return isNarrow(result) && type !== "bool" ? undefined : wrap(`${requireElementType(result)}(a)`);
    case "nn.gelu":
      return gate(attrs.approximate === "tanh" ? "gelu-tanh" : "gelu");
    case "is_inf": {
      const bits = [attrs.positive && "0x7f800000u", attrs.negative && "0xff800000u"].filter(Boolean);
      return wrap(bits.map((value) => `bitcast<u32>(a) == ${value}`).join(" || ") || "false");
    }
    case "pow":
      if (types[1] !== type)
        return type === "f32" && types[1] !== "bool" ? wrap("power(a, f32(b))", floatPower) : undefined;
  }
  const isMixed = types.some((other) => other !== type);
  return isMixed || (isNarrow(inputs[0]!) && !isComparison(op)) ? undefined : tables[type][op];
}

/** Integers whose arithmetic wraps around earlier than that of a shader. */
const isNarrow = (dtype: DType): boolean => ["i8", "i16", "u8", "u16"].includes(dtype);
const isComparison = (op: string): boolean =>
  ["less", "less_equal", "greater", "greater_equal", "maximum", "minimum"].includes(op);
