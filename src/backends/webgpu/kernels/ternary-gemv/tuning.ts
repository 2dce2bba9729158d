import { teamSize } from "../../reduce.ts";
import type { Target } from "../../target.ts";
import { blocksOf, outputColumns, type TernaryParams } from "../ternary.ts";
import { isGrouped } from "../ternary-results.ts";

/** Whether a row's sum is one integer, of codes + 1, from which the sum of the row's codes is to be taken. */
export const isInteger = (params: TernaryParams): boolean =>
  params.activations === "int8-per-token" && !isGrouped(params);

/** Whether products are written out one by one: only where few instructions make many, or compilers take seconds. */
export const isUnrolled = (params: TernaryParams, target: Target): boolean =>
  isInteger(params) && target.packedDot;

interface Tuning {
  readonly workgroupSize: number;
  /** Invocations that share a row of weights. */
  readonly team: number;
  /** Columns of the output that a team computes at most; fewer where there would be fewer than `workgroups`. */
  readonly columns: number;
  readonly workgroups: number;
  /** Vectors of each row's weights that an invocation loads before it needs them, at most; 0: as it needs them. */
  readonly ahead: number;
}

/**
 * A token's time is that of a chain of dispatches, and that of a dispatch is mostly waiting. So workgroups are large,
 * which makes quantising short, there are about as many as a large GPU has processors, so that few have two inputs to
 * quantise, and weights are on their way while the input is quantised. On a CPU a row is one invocation's, and the
 * fewer wait for each other the better.
 */
const tunings: Readonly<Record<Target["reduction"], Tuning>> = {
  subgroup: { workgroupSize: 256, team: 16, columns: 2, workgroups: 64, ahead: 7 },
  workgroup: { workgroupSize: 64, team: 8, columns: 2, workgroups: 128, ahead: 2 },
  serial: { workgroupSize: 32, team: 1, columns: 1, workgroups: 1, ahead: 0 },
};

/** How a shader divides its work. */
export interface Division {
  readonly workgroupSize: number;
  readonly team: number;
  readonly columnsPerTeam: number;
  readonly columnsPerWorkgroup: number;
  /** `vec4<u32>` of a row of weights, of 64 weights each. */
  readonly vectors: number;
  /** Vectors of a row that an invocation has loaded at a time, and how often it does so. */
  readonly chunk: number;
  readonly chunks: number;
  readonly loadsAhead: boolean;
}

export function divisionOf(params: TernaryParams, target: Target): Division {
  const tuning = tunings[target.reduction];
  const { workgroupSize, team: preferred, workgroups } = tuning;
  const [columns, ahead] = isUnrolled(params, target) ? [tuning.columns, tuning.ahead] : [1, 0];
  const team = teamSize(target, preferred);
  const teams = workgroupSize / team;
  let columnsPerTeam = columns;
  while (columnsPerTeam > 1 && outputColumns(params) < teams * columnsPerTeam * workgroups)
    columnsPerTeam /= 2;
  const vectors = 4 * blocksOf(params.depth);
  const iterations = Math.ceil(vectors / team);
  const chunks = Math.ceil(iterations / Math.max(1, ahead));
  return {
    workgroupSize,
    team,
    columnsPerTeam,
    columnsPerWorkgroup: teams * columnsPerTeam,
    vectors,
    chunk: Math.ceil(iterations / chunks),
    chunks,
    loadsAhead: ahead > 0,
  };
}
