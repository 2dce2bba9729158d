import { createHash } from "node:crypto";
import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../../errors.ts";
import { readRange } from "../../serialize/blob.ts";
import { planFault } from "../../serialize/check-plan.ts";
import { decodeFlatbuffer } from "../../serialize/checked-buffer.ts";
import { delegateId } from "../../serialize/delegate.ts";
import { describeProgram, type ProgramDescription } from "../../serialize/describe-program.ts";
import { type FlatbufferJson, flatbufferJson } from "../../serialize/flatbuffer-json.ts";
import { schema as delegateSchema } from "../../serialize/generated/schema/delegate.ts";
import { schema as programSchema } from "../../serialize/generated/schema/program.ts";
import { type OwnProgram, openDelegate } from "../../serialize/open-program.ts";
import type { DelegateTable } from "../../serialize/program.ts";
import { type ProgramDelegate, type ProgramFile, readProgram } from "../../serialize/program-reader.ts";
import { readVulkanBlob, type VulkanHeader, vulkanId } from "../../serialize/vulkan-blob.ts";
import type { ByteRange, Source } from "../../tensor/source.ts";
import type { Listing } from "./listing.ts";
import { type ConstantData, constantData, memoryPlan, type PlannedBuffer } from "./memory.ts";
import { listOwn } from "./own-listing.ts";
import { describePlan, type PlanDescription } from "./plan-listing.ts";
import { listVulkan } from "./vulkan-listing.ts";

/** All that is known of a program file. */
export interface ProgramView {
  readonly file: ProgramFile;
  readonly tables: ProgramDescription;
  /** The flatbuffer as flatc prints it; made when it is asked for, because it may hold constants. */
  readonly program: () => FlatbufferJson;
  readonly delegates: readonly DelegateView[];
  readonly namedData: readonly { readonly key: string; readonly bytes: number; readonly sha256: string }[];
  readonly constantData: readonly ConstantData[];
  /** Planned buffers, for each method. */
  readonly memory: readonly (readonly PlannedBuffer[])[];
  readonly warnings: readonly Diagnostic[];
}

export interface DelegateView extends DelegateTable {
  readonly method: string;
  readonly data: ByteRange;
  /** What its blob holds, where that is known. */
  readonly contents?: DelegateContents;
  /** Why it cannot be read. */
  readonly problem?: Diagnostic;
}

interface DelegateContents {
  /** The blob's tables as flatc prints them. */
  readonly graph: FlatbufferJson;
  readonly listing: Listing;
  /** Of bitnetc's own. */
  readonly own?: OwnProgram;
  readonly plan?: PlanDescription;
  readonly vulkanHeader?: VulkanHeader;
}

/**
 * Reads a program, whoever wrote it.
 * @throws BitnetcError as `readProgram` and `describeProgram` do; what is wrong with a delegate is its `problem`
 */
export async function viewProgram(source: Source): Promise<ProgramView> {
  const file = await readProgram(source);
  const tables = describeProgram(file);
  const described = tables.methods.flatMap(({ name, delegates }) =>
    delegates.map((table) => ({ ...table, method: name })),
  );
  const delegates: DelegateView[] = [];
  for (const [i, table] of described.entries()) {
    const delegate = file.delegates[i]!;
    delegates.push({ ...table, data: delegate.data, ...(await readContents(file, delegate)) });
  }
  return {
    file,
    tables,
    program: () =>
      decodeFlatbuffer(source.name, file.head, (buffer) => flatbufferJson(buffer, programSchema)),
    delegates,
    namedData: await viewNamedData(file, delegates),
    constantData: constantData(source.name, tables),
    memory: tables.methods.map((method) => memoryPlan(source.name, method)),
    warnings: delegates.flatMap(({ problem }) => problem ?? []),
  };
}

async function readContents(
  file: ProgramFile,
  delegate: ProgramDelegate,
): Promise<Pick<DelegateView, "contents" | "problem">> {
  try {
    if (delegate.id === delegateId) return { contents: await readOwn(file, delegate) };
    if (delegate.id !== vulkanId) return {};
    const { header, graph, tables } = await readVulkanBlob(
      delegate.data,
      `${file.source.name}, method ${delegate.method}`,
    );
    return { contents: { graph: tables, listing: listVulkan(graph), vulkanHeader: header } };
  } catch (error) {
    if (!(error instanceof BitnetcError)) throw error;
    return { problem: { ...error.diagnostics[0]!, severity: "warning" } };
  }
}

async function readOwn(file: ProgramFile, delegate: ProgramDelegate): Promise<DelegateContents> {
  const { name } = file.source;
  const own = await openDelegate(file, delegate);
  const fault = own.plan && planFault(own.plan, own.graph);
  if (fault !== undefined) throw new BitnetcError(diagnostics.programCorrupt(name, fault));
  const bytes = await readRange(name, delegate.data);
  const graph = decodeFlatbuffer(name, bytes, (buffer) => flatbufferJson(buffer, delegateSchema));
  return { graph, listing: listOwn(own.graph), own, ...(own.plan && { plan: describePlan(own.plan) }) };
}

/** The SHA-256 that the program records, or else that of the data. */
async function viewNamedData(
  { namedData }: ProgramFile,
  delegates: readonly DelegateView[],
): Promise<ProgramView["namedData"]> {
  const recorded = new Map(delegates.flatMap(({ contents }) => [...(contents?.own?.blobs ?? [])]));
  const hash = rangeHasher();
  const view: ProgramView["namedData"][number][] = [];
  for (const [key, range] of namedData) {
    const sha256 = recorded.get(key)?.sha256 ?? (await hash(range));
    view.push({ key, bytes: range.size, sha256 });
  }
  return view;
}

/** SHA-256 of ranges, in hexadecimal; of each range once. */
export function rangeHasher(): (range: ByteRange) => Promise<string> {
  const known = new Map<string, string>();
  return async (range) => {
    const have = known.get(range.id);
    if (have !== undefined) return have;
    const hash = createHash("sha256");
    const part = 1 << 24;
    for (let from = 0; from < range.size; from += part)
      hash.update(await range.read(from, Math.min(from + part, range.size)));
    const digest = hash.digest("hex");
    known.set(range.id, digest);
    return digest;
  };
}
