import type { NoAttrs, OpSignature } from "bitnetc";

declare module "bitnetc" {
  interface Ops {
    readonly "example.relu2_gate": OpSignature<"gate" | "up", NoAttrs>;
  }
}
