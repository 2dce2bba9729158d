// automatically generated from schemas/program.fbs, do not modify

import type { Schema } from '../../flatbuffer-json.ts';

export const schema: Schema = {
 "root": "Program",
 "enums": {
  "ScalarType": {
   "base": "byte",
   "names": {
    "0": "BYTE",
    "1": "CHAR",
    "2": "SHORT",
    "3": "INT",
    "4": "LONG",
    "5": "HALF",
    "6": "FLOAT",
    "7": "DOUBLE",
    "11": "BOOL",
    "12": "QINT8",
    "13": "QUINT8",
    "14": "QINT32",
    "15": "BFLOAT16",
    "16": "QUINT4X2",
    "17": "QUINT2X4",
    "22": "BITS16",
    "23": "FLOAT8E5M2",
    "24": "FLOAT8E4M3FN",
    "25": "FLOAT8E5M2FNUZ",
    "26": "FLOAT8E4M3FNUZ",
    "27": "UINT16",
    "28": "UINT32",
    "29": "UINT64"
   }
  },
  "TensorShapeDynamism": {
   "base": "byte",
   "names": {
    "0": "STATIC",
    "1": "DYNAMIC_BOUND",
    "2": "DYNAMIC_UNBOUND"
   }
  },
  "TensorDataLocation": {
   "base": "byte",
   "names": {
    "0": "SEGMENT",
    "1": "EXTERNAL"
   }
  },
  "DeviceType": {
   "base": "byte",
   "names": {
    "0": "CPU",
    "1": "CUDA"
   }
  },
  "DataLocation": {
   "base": "byte",
   "names": {
    "0": "INLINE",
    "1": "SEGMENT"
   }
  }
 },
 "unions": {
  "KernelTypes": [
   "NONE",
   "Null",
   "Int",
   "Bool",
   "Double",
   "Tensor",
   "String",
   "IntList",
   "DoubleList",
   "BoolList",
   "TensorList",
   "OptionalTensorList"
  ],
  "InstructionArguments": [
   "NONE",
   "KernelCall",
   "DelegateCall",
   "MoveCall",
   "JumpFalseCall",
   "FreeCall"
  ]
 },
 "tables": {
  "AllocationDetails": [
   [
    "memory_id",
    "uint"
   ],
   [
    "memory_offset_low",
    "uint"
   ],
   [
    "memory_offset_high",
    "uint"
   ]
  ],
  "ExtraTensorInfo": [
   [
    "mutable_data_segments_idx",
    "ulong"
   ],
   [
    "fully_qualified_name",
    "string"
   ],
   [
    "location",
    "TensorDataLocation"
   ],
   [
    "device_type",
    "DeviceType"
   ],
   [
    "device_index",
    "byte"
   ]
  ],
  "Tensor": [
   [
    "scalar_type",
    "ScalarType"
   ],
   [
    "storage_offset",
    "int"
   ],
   [
    "sizes",
    "[int]"
   ],
   [
    "dim_order",
    "[ubyte]"
   ],
   [
    "requires_grad",
    "bool"
   ],
   [
    "data_buffer_idx",
    "uint"
   ],
   [
    "allocation_info",
    "AllocationDetails"
   ],
   [
    "layout",
    "byte"
   ],
   [
    "shape_dynamism",
    "TensorShapeDynamism"
   ],
   [
    "extra_tensor_info",
    "ExtraTensorInfo"
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
  "TensorList": [
   [
    "items",
    "[int]"
   ]
  ],
  "OptionalTensorList": [
   [
    "items",
    "[int]"
   ]
  ],
  "EValue": [
   [
    "val",
    "KernelTypes"
   ]
  ],
  "Operator": [
   [
    "name",
    "string"
   ],
   [
    "overload",
    "string"
   ]
  ],
  "KernelCall": [
   [
    "op_index",
    "int"
   ],
   [
    "args",
    "[int]"
   ]
  ],
  "DelegateCall": [
   [
    "delegate_index",
    "int"
   ],
   [
    "args",
    "[int]"
   ]
  ],
  "MoveCall": [
   [
    "move_from",
    "int"
   ],
   [
    "move_to",
    "int"
   ]
  ],
  "JumpFalseCall": [
   [
    "cond_value_index",
    "int"
   ],
   [
    "destination_instruction",
    "int"
   ]
  ],
  "FreeCall": [
   [
    "value_index",
    "int"
   ]
  ],
  "Instruction": [
   [
    "instr_args",
    "InstructionArguments"
   ]
  ],
  "Frame": [
   [
    "filename",
    "string"
   ],
   [
    "lineno",
    "int"
   ],
   [
    "name",
    "string"
   ],
   [
    "context",
    "string"
   ]
  ],
  "FrameList": [
   [
    "items",
    "[Frame]"
   ]
  ],
  "Chain": [
   [
    "inputs",
    "[int]"
   ],
   [
    "outputs",
    "[int]"
   ],
   [
    "instructions",
    "[Instruction]"
   ],
   [
    "stacktrace",
    "[FrameList]"
   ]
  ],
  "CompileSpec": [
   [
    "key",
    "string"
   ],
   [
    "value",
    "[ubyte]"
   ]
  ],
  "BackendDelegateDataReference": [
   [
    "location",
    "DataLocation"
   ],
   [
    "index",
    "uint"
   ]
  ],
  "BackendDelegate": [
   [
    "id",
    "string"
   ],
   [
    "processed",
    "BackendDelegateDataReference"
   ],
   [
    "compile_specs",
    "[CompileSpec]"
   ]
  ],
  "ContainerMetadata": [
   [
    "encoded_inp_str",
    "string"
   ],
   [
    "encoded_out_str",
    "string"
   ]
  ],
  "NonConstBufferDevice": [
   [
    "buffer_idx",
    "int"
   ],
   [
    "device_type",
    "DeviceType"
   ],
   [
    "device_index",
    "byte"
   ]
  ],
  "ExecutionPlan": [
   [
    "name",
    "string"
   ],
   [
    "container_meta_type",
    "ContainerMetadata"
   ],
   [
    "values",
    "[EValue]"
   ],
   [
    "inputs",
    "[int]"
   ],
   [
    "outputs",
    "[int]"
   ],
   [
    "chains",
    "[Chain]"
   ],
   [
    "operators",
    "[Operator]"
   ],
   [
    "delegates",
    "[BackendDelegate]"
   ],
   [
    "non_const_buffer_sizes",
    "[long]"
   ],
   [
    "non_const_buffer_device",
    "[NonConstBufferDevice]"
   ]
  ],
  "Buffer": [
   [
    "storage",
    "[ubyte]"
   ]
  ],
  "BackendDelegateInlineData": [
   [
    "data",
    "[ubyte]"
   ]
  ],
  "DataSegment": [
   [
    "offset",
    "ulong"
   ],
   [
    "size",
    "ulong"
   ]
  ],
  "SubsegmentOffsets": [
   [
    "segment_index",
    "uint"
   ],
   [
    "offsets",
    "[ulong]"
   ]
  ],
  "NamedData": [
   [
    "key",
    "string"
   ],
   [
    "segment_index",
    "uint"
   ]
  ],
  "Program": [
   [
    "version",
    "uint"
   ],
   [
    "execution_plan",
    "[ExecutionPlan]"
   ],
   [
    "constant_buffer",
    "[Buffer]"
   ],
   [
    "backend_delegate_data",
    "[BackendDelegateInlineData]"
   ],
   [
    "segments",
    "[DataSegment]"
   ],
   [
    "constant_segment",
    "SubsegmentOffsets"
   ],
   [
    "mutable_data_segments",
    "[SubsegmentOffsets]"
   ],
   [
    "named_data",
    "[NamedData]"
   ]
  ]
 }
};
