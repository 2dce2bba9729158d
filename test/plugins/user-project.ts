import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../../", import.meta.url));

export interface Finished {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A folder outside the repository in which bitnetc is installed from its tarball, as a user installs it. */
export class UserProject {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<UserProject> {
    const project = new UserProject(mkdtempSync(join(tmpdir(), "bitnetc-project-")));
    project.write("package.json", JSON.stringify({ name: "project", private: true, type: "module" }));
    // npm takes what is there already, and so needs no network.
    for (const name of dependencyClosure(repository))
      cpSync(join(repository, "node_modules", name), project.path("node_modules", name), { recursive: true });
    const source = project.path("bitnetc");
    mkdirSync(source);
    for (const name of ["package.json", "README.md", "LICENSE", "CHANGELOG.md", "schemas"])
      if (existsSync(join(repository, name)))
        cpSync(join(repository, name), join(source, name), { recursive: true });
    await project.tsc("-p", join(repository, "tsconfig.build.json"), "--outDir", join(source, "dist"));
    await project.install("bitnetc");
    return project;
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  write(name: string, text: string | Uint8Array): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** Packs the package in a folder of the project and installs the tarball. */
  async install(folder: string): Promise<void> {
    const quiet = ["--offline", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"];
    const { out } = await this.mustRun("npm", "pack", `./${folder}`, ...quiet);
    await this.mustRun("npm", "install", `./${out.trim().split("\n").at(-1)}`, ...quiet);
  }

  /** The repository's TypeScript compiler; complaints are thrown. */
  async tsc(...args: string[]): Promise<void> {
    await this.mustRun(
      process.execPath,
      join(repository, "node_modules", "typescript", "bin", "tsc"),
      ...args,
    );
  }

  run(command: string, ...args: string[]): Promise<Finished> {
    return this.runIn(this.folder, command, ...args);
  }

  runIn(cwd: string, command: string, ...args: string[]): Promise<Finished> {
    const { NODE_OPTIONS: _, ...env } = process.env;
    const path = [this.path("node_modules", ".bin"), env.PATH].join(delimiter);
    return new Promise((resolve) => {
      const options = { cwd, env: { ...env, PATH: path }, maxBuffer: 1 << 26 };
      execFile(command, args, options, (error, out, err) =>
        resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1, out, err }),
      );
    });
  }

  async mustRun(command: string, ...args: string[]): Promise<Finished> {
    const finished = await this.run(command, ...args);
    if (finished.code !== 0)
      throw new Error(
        `${command} ${args.join(" ")} ended with ${finished.code}:\n${finished.out}${finished.err}`,
      );
    return finished;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The packages that a package needs, and those that they need. */
function dependencyClosure(folder: string, found = new Set<string>()): ReadonlySet<string> {
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    dependencies?: Record<string, string>;
  };
  for (const next of Object.keys(dependencies)) {
    const at = join(repository, "node_modules", next);
    // One that is not beside the others lies inside the package, and is copied with it.
    if (found.has(next) || !existsSync(at)) continue;
    found.add(next);
    dependencyClosure(at, found);
  }
  return found;
}
