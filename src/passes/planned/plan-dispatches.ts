import { definePass } from "../pass.ts";

export const planDispatches = definePass({
  name: "plan-dispatches",
  doc: "For webgpu, each group becomes dispatches with shaders for every kind of adapter, and the memory between them gets its place.",
  run: (_, { placed }) => placed.graph?.plan?.(),
});
