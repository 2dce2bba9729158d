import { acme } from "bitnetc-plugin-acme";

export default {
  maxSeqLen: 64,
  plugins: [acme({ lanes: 512 })],
};
