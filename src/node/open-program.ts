import { type OpenOptions, open, type Session } from "../runtime/index.ts";
import { fileSource } from "./file-source.ts";

/** Opens the program file at `path`. @throws BitnetcError */
export async function openProgram(path: string, options: OpenOptions = {}): Promise<Session> {
  return open(await fileSource(path), options);
}
