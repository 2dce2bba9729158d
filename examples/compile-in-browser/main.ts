import { acceptDrops, type GivenFile, pickedFiles } from "../shared/drop.ts";
import { button, byId, element } from "../shared/element.ts";
import { formatBytes, plural } from "../shared/format.ts";
import { type Problem, problemIn, problemView } from "../shared/problem.ts";
import { ProgramView } from "../shared/program-view.ts";
import { ProgressView } from "../shared/progress-view.ts";
import { SessionClient } from "../shared/session-client.ts";
import type { Device } from "../shared/session-messages.ts";
import { CompilerClient } from "./compiler-client.ts";
import type { Compiled, ModelChoice } from "./compiler-messages.ts";
import { modelsIn } from "./model-files.ts";
import { OptionsForm } from "./options-form.ts";
import { reportView } from "./report-view.ts";

const page = {
  form: byId<HTMLFormElement>("compile"),
  files: byId<HTMLInputElement>("files"),
  folder: byId<HTMLInputElement>("folder"),
  given: byId("given"),
  choice: byId("model-choice"),
  model: byId<HTMLSelectElement>("model"),
  go: byId<HTMLButtonElement>("go"),
  status: byId("status"),
  result: byId("result"),
  report: byId("report"),
  download: byId("download"),
  on: byId<HTMLSelectElement>("on"),
  run: byId<HTMLButtonElement>("run"),
  stage: byId("stage"),
};

let compiler = new CompilerClient();
let files: readonly GivenFile[] = [];
let models: readonly ModelChoice[] = [];
let compiled: { readonly program: Blob; readonly name: string } | undefined;
let compiling: AbortController | undefined;
let opening: AbortController | undefined;
let session: SessionClient | undefined;
/** Of the compiled program, for its download. */
let address = "";

const options = compiler.options.then((schemas) => {
  const form = new OptionsForm(schemas);
  byId("options").append(form.root);
  return form;
});
options.catch((error: unknown) => page.status.replaceChildren(problemView(problemIn(error))));

function take(given: readonly GivenFile[]): void {
  if (given.length === 0 || compiling !== undefined) return;
  files = given;
  models = modelsIn(given);
  page.model.replaceChildren(...models.map((model, i) => element("option", { value: i }, describe(model))));
  page.choice.hidden = models.length < 2;
  page.go.disabled = models.length === 0;
  const size = given.reduce((sum, { file }) => sum + file.size, 0);
  const what = models[0] === undefined ? given[0]!.path : describe(models[0]);
  const extent = given.length === 1 ? "" : `${plural(given.length, "file")}, `;
  page.given.textContent = `${models.length > 1 ? plural(models.length, "model") : what}: ${extent}${formatBytes(size)}`;
  page.status.replaceChildren(...(models.length === 0 ? [problemView(noModel)] : []));
}

const noModel: Problem = [
  {
    code: "no-model",
    severity: "error",
    message: "There is no model among these files.",
    hint: "Give a .onnx file, with its external data if it has any, or a folder with config.json and *.safetensors.",
  },
];

const describe = ({ kind, path }: ModelChoice): string =>
  kind === "onnx" ? path : `checkpoint ${path.replace(/\/$/, "")}`.trimEnd();

/** The name that the program gets. */
function programName({ kind, path }: ModelChoice): string {
  const last = path.replace(/\/$/, "").split("/").at(-1) ?? "";
  const name = kind === "onnx" ? last.replace(/\.onnx$/i, "") : last;
  return `${name || "model"}.pte`;
}

async function compile(): Promise<void> {
  const model = models[Number(page.model.value)];
  if (model === undefined || compiling !== undefined) return;
  closeSession();
  page.result.hidden = true;
  page.go.disabled = true;
  const stopping = new AbortController();
  compiling = stopping;
  const name = programName(model);
  const cancel = button("Cancel");
  cancel.addEventListener("click", () => stopping.abort());
  const progress = new ProgressView(`Compiling ${describe(model)}`, cancel);
  progress.step("Reading the model");
  page.status.replaceChildren(progress.root);
  page.status.scrollIntoView({ block: "nearest" });
  try {
    const done = await compiler.compile(
      { model, files, options: (await options).read() },
      (message) => {
        if (message.type === "phase") progress.step(`Done: ${message.phase}. Now: ${message.next}`);
        else progress.bytes("Writing", message.bytes, message.total);
      },
      stopping.signal,
    );
    page.status.replaceChildren();
    showResult(done, name);
  } catch (error) {
    page.status.replaceChildren();
    if (stopping.signal.aborted) compiler = new CompilerClient();
    else page.status.append(problemView(problemIn(error)));
  } finally {
    compiling = undefined;
    page.go.disabled = models.length === 0;
  }
}

function showResult(done: Compiled, name: string): void {
  compiled = { program: done.program, name };
  page.report.replaceChildren(reportView(done));
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(done.program);
  page.download.replaceChildren(
    element("a", { class: "button", href: address, download: name }, `Download ${name}`),
  );
  page.result.hidden = false;
  page.result.scrollIntoView({ block: "nearest" });
}

async function run(): Promise<void> {
  if (compiled === undefined) return;
  closeSession();
  const { program, name } = compiled;
  const mine = new AbortController();
  opening = mine;
  const cancel = button("Cancel");
  cancel.addEventListener("click", closeSession);
  const progress = new ProgressView(`Opening ${name}`, cancel);
  progress.step("Reading what is in it");
  page.status.replaceChildren(progress.root);
  try {
    session = await SessionClient.open({
      program,
      device: page.on.value as Device,
      onProgress: (done) => progress.opening(done),
      signal: mine.signal,
    });
    const view = new ProgramView(session, { name, size: program.size });
    page.status.replaceChildren();
    page.stage.replaceChildren(view.root);
    page.stage.scrollIntoView();
    view.focus();
  } catch (error) {
    if (!mine.signal.aborted) page.status.replaceChildren(problemView(problemIn(error)));
  }
}

/** Ends the program that runs, or that is being opened. */
function closeSession(): void {
  opening?.abort();
  session?.close();
  session = undefined;
  page.status.replaceChildren();
  page.stage.replaceChildren();
}

acceptDrops(byId("drop"), take);
page.files.addEventListener("change", () => take(pickedFiles(page.files)));
page.folder.addEventListener("change", () => take(pickedFiles(page.folder)));
page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  void compile();
});
page.run.addEventListener("click", () => void run());
