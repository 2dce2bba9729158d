// automatically generated from schemas/vulkan.fbs, do not modify

import type { Schema } from '../../flatbuffer-json.ts';

export const schema: Schema = {
 "root": "VkGraph",
 "enums": {
  "VkDataType": {
   "base": "byte",
   "names": {
    "0": "BOOL",
    "1": "UINT8",
    "2": "INT8",
    "3": "INT32",
    "4": "FLOAT16",
    "5": "FLOAT32",
    "6": "FLOAT64",
    "7": "INT64",
    "127": "UNSET"
   }
  },
  "VkStorageType": {
   "base": "ubyte",
   "names": {
    "0": "BUFFER",
    "1": "TEXTURE_3D",
    "2": "TEXTURE_2D",
    "255": "DEFAULT_STORAGE"
   }
  },
  "VkMemoryLayout": {
   "base": "ubyte",
   "names": {
    "0": "TENSOR_WIDTH_PACKED",
    "1": "TENSOR_HEIGHT_PACKED",
    "2": "TENSOR_CHANNELS_PACKED",
    "3": "PACKED_INT8_4W4C",
    "4": "PACKED_INT8_4H4W",
    "5": "PACKED_INT8_4W",
    "6": "PACKED_INT8_4C",
    "8": "PACKED_INT8_4C1W",
    "9": "PACKED_INT8_CONV2D",
    "255": "DEFAULT_LAYOUT"
   }
  }
 },
 "unions": {
  "GraphTypes": [
   "NONE",
   "Null",
   "Int",
   "Double",
   "Bool",
   "VkTensor",
   "IntList",
   "DoubleList",
   "BoolList",
   "ValueList",
   "String",
   "SymInt"
  ]
 },
 "tables": {
  "OperatorCall": [
   [
    "node_id",
    "uint"
   ],
   [
    "name",
    "string"
   ],
   [
    "args",
    "[int]"
   ]
  ],
  "VkTensor": [
   [
    "datatype",
    "VkDataType"
   ],
   [
    "dims",
    "[uint]"
   ],
   [
    "constant_id",
    "int"
   ],
   [
    "mem_obj_id",
    "int"
   ],
   [
    "storage_type",
    "VkStorageType"
   ],
   [
    "memory_layout",
    "VkMemoryLayout"
   ],
   [
    "staging_datatype",
    "VkDataType"
   ]
  ],
  "Null": [],
  "Int": [
   [
    "int_val",
    "long"
   ]
  ],
  "Bool": [
   [
    "bool_val",
    "bool"
   ]
  ],
  "Double": [
   [
    "double_val",
    "double"
   ]
  ],
  "String": [
   [
    "string_val",
    "string"
   ]
  ],
  "IntList": [
   [
    "items",
    "[long]"
   ]
  ],
  "DoubleList": [
   [
    "items",
    "[double]"
   ]
  ],
  "BoolList": [
   [
    "items",
    "[bool]"
   ]
  ],
  "ValueList": [
   [
    "items",
    "[int]"
   ]
  ],
  "SymInt": [
   [
    "value",
    "int"
   ]
  ],
  "VkValue": [
   [
    "value",
    "GraphTypes"
   ]
  ],
  "VkBytes": [
   [
    "offset",
    "ulong"
   ],
   [
    "length",
    "ulong"
   ],
   [
    "named_key",
    "string"
   ]
  ],
  "VkGraph": [
   [
    "version",
    "string"
   ],
   [
    "chain",
    "[OperatorCall]"
   ],
   [
    "values",
    "[VkValue]"
   ],
   [
    "input_ids",
    "[uint]"
   ],
   [
    "output_ids",
    "[uint]"
   ],
   [
    "constants",
    "[VkBytes]"
   ],
   [
    "shaders",
    "[VkBytes]"
   ],
   [
    "storage_type_override",
    "VkStorageType"
   ],
   [
    "memory_layout_override",
    "VkMemoryLayout"
   ]
  ]
 }
};
