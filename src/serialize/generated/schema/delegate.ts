// automatically generated from schemas/delegate.fbs, do not modify

import type { Schema } from '../../flatbuffer-json.ts';

export const schema: Schema = {
 "root": "Delegate",
 "enums": {
  "DType": {
   "base": "ubyte",
   "names": {
    "0": "f64",
    "1": "f32",
    "2": "f16",
    "3": "bf16",
    "4": "i64",
    "5": "i32",
    "6": "i16",
    "7": "i8",
    "8": "i4",
    "9": "i2",
    "10": "u64",
    "11": "u32",
    "12": "u16",
    "13": "u8",
    "14": "u4",
    "15": "u2",
    "16": "bool",
    "17": "tq2_0",
    "18": "tq1_0"
   }
  },
  "AttributeKind": {
   "base": "ubyte",
   "names": {
    "0": "number",
    "1": "string",
    "2": "boolean",
    "3": "numbers",
    "4": "strings"
   }
  },
  "BindingAccess": {
   "base": "ubyte",
   "names": {
    "0": "constant",
    "1": "value",
    "2": "symbols"
   }
  },
  "WeightLayout": {
   "base": "ubyte",
   "names": {
    "0": "plain",
    "1": "ternary_codes"
   }
  },
  "BufferKind": {
   "base": "ubyte",
   "names": {
    "0": "weights",
    "1": "state",
    "2": "input",
    "3": "output",
    "4": "scratch",
    "5": "symbols",
    "6": "sampled",
    "7": "candidates"
   }
  },
  "StepClass": {
   "base": "ubyte",
   "names": {
    "0": "matmul",
    "1": "attention",
    "2": "elementwise",
    "3": "movement",
    "4": "sampling"
   }
  }
 },
 "unions": {},
 "tables": {
  "Symbol": [
   [
    "name",
    "string"
   ],
   [
    "min",
    "long"
   ],
   [
    "max",
    "long"
   ]
  ],
  "Value": [
   [
    "dtype",
    "DType"
   ],
   [
    "shape",
    "[uint]"
   ]
  ],
  "Binding": [
   [
    "name",
    "string"
   ],
   [
    "value",
    "uint"
   ],
   [
    "contents",
    "[uint]"
   ]
  ],
  "InlineTensor": [
   [
    "dtype",
    "DType"
   ],
   [
    "shape",
    "[uint]"
   ],
   [
    "data",
    "[ubyte]"
   ]
  ],
  "Constant": [
   [
    "value",
    "uint"
   ],
   [
    "key",
    "string"
   ],
   [
    "inline",
    "InlineTensor"
   ]
  ],
  "Dims": [
   [
    "value",
    "uint"
   ],
   [
    "sizes",
    "[uint]"
   ]
  ],
  "Argument": [
   [
    "name",
    "string"
   ],
   [
    "is_list",
    "bool"
   ],
   [
    "values",
    "[uint]"
   ]
  ],
  "Attribute": [
   [
    "name",
    "string"
   ],
   [
    "kind",
    "AttributeKind"
   ],
   [
    "numbers",
    "[double]"
   ],
   [
    "strings",
    "[string]"
   ]
  ],
  "Node": [
   [
    "op",
    "string"
   ],
   [
    "args",
    "[Argument]"
   ],
   [
    "attrs",
    "[Attribute]"
   ],
   [
    "results",
    "[uint]"
   ],
   [
    "source",
    "string"
   ]
  ],
  "Blob": [
   [
    "key",
    "string"
   ],
   [
    "size",
    "ulong"
   ],
   [
    "sha256",
    "[ubyte]"
   ],
   [
    "chunks",
    "[ubyte]"
   ]
  ],
  "Pipeline": [
   [
    "label",
    "string"
   ],
   [
    "module",
    "uint"
   ],
   [
    "bindings",
    "[BindingAccess]"
   ]
  ],
  "WeightPart": [
   [
    "value",
    "uint"
   ],
   [
    "layout",
    "WeightLayout"
   ],
   [
    "from",
    "ulong"
   ],
   [
    "size",
    "ulong"
   ],
   [
    "offset",
    "ulong"
   ]
  ],
  "PlanBuffer": [
   [
    "kind",
    "BufferKind"
   ],
   [
    "name",
    "string"
   ],
   [
    "offset",
    "ulong"
   ],
   [
    "size",
    "ulong"
   ],
   [
    "parts",
    "[WeightPart]"
   ]
  ],
  "BufferRange": [
   [
    "buffer",
    "uint"
   ],
   [
    "offset",
    "ulong"
   ],
   [
    "size",
    "ulong"
   ]
  ],
  "Step": [
   [
    "kernel",
    "string"
   ],
   [
    "class_",
    "StepClass"
   ],
   [
    "source",
    "string"
   ],
   [
    "pipeline",
    "uint"
   ],
   [
    "bindings",
    "uint"
   ],
   [
    "x",
    "uint"
   ],
   [
    "y",
    "uint"
   ],
   [
    "z",
    "uint"
   ]
  ],
  "SymbolBounds": [
   [
    "symbol",
    "string"
   ],
   [
    "min",
    "long"
   ],
   [
    "max",
    "long"
   ]
  ],
  "Schedule": [
   [
    "name",
    "string"
   ],
   [
    "when",
    "[SymbolBounds]"
   ],
   [
    "steps",
    "[uint]"
   ]
  ],
  "Limit": [
   [
    "name",
    "string"
   ],
   [
    "min",
    "ulong"
   ]
  ],
  "Variant": [
   [
    "name",
    "string"
   ],
   [
    "features",
    "[string]"
   ],
   [
    "language_features",
    "[string]"
   ],
   [
    "limits",
    "[Limit]"
   ],
   [
    "min_subgroup_size",
    "uint"
   ],
   [
    "software",
    "bool"
   ],
   [
    "arena_size",
    "ulong"
   ],
   [
    "schedules",
    "[Schedule]"
   ],
   [
    "greedy",
    "[uint]"
   ],
   [
    "candidates",
    "[uint]"
   ]
  ],
  "Plan": [
   [
    "symbols",
    "[string]"
   ],
   [
    "modules",
    "[string]"
   ],
   [
    "pipelines",
    "[Pipeline]"
   ],
   [
    "buffers",
    "[PlanBuffer]"
   ],
   [
    "ranges",
    "[BufferRange]"
   ],
   [
    "bindings",
    "[uint]"
   ],
   [
    "steps",
    "[Step]"
   ],
   [
    "variants",
    "[Variant]"
   ]
  ],
  "Delegate": [
   [
    "version",
    "uint"
   ],
   [
    "symbols",
    "[Symbol]"
   ],
   [
    "sizes",
    "[string]"
   ],
   [
    "values",
    "[Value]"
   ],
   [
    "inputs",
    "[Binding]"
   ],
   [
    "outputs",
    "[Binding]"
   ],
   [
    "states",
    "[Binding]"
   ],
   [
    "constants",
    "[Constant]"
   ],
   [
    "dims",
    "[Dims]"
   ],
   [
    "nodes",
    "[Node]"
   ],
   [
    "blobs",
    "[Blob]"
   ],
   [
    "plan",
    "Plan"
   ],
   [
    "chunk_size",
    "uint"
   ]
  ]
 }
};
