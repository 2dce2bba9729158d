import { largestWeights } from "./largest-weights.js";
import { relu2Gate } from "./relu2-gate.js";

export default {
  maxSeqLen: 256,
  plugins: [largestWeights({ count: 1 }), relu2Gate({ tile: 256 })],
};
