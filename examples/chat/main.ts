import { acceptDrops, pickedFiles } from "../shared/drop.ts";
import { button, byId, element } from "../shared/element.ts";
import { formatBytes } from "../shared/format.ts";
import { problemIn, problemView } from "../shared/problem.ts";
import { ProgramView } from "../shared/program-view.ts";
import { ProgressView } from "../shared/progress-view.ts";
import { SessionClient } from "../shared/session-client.ts";
import type { Device } from "../shared/session-messages.ts";

const page = {
  main: byId("main"),
  start: byId("start"),
  form: byId<HTMLFormElement>("open"),
  status: byId("status"),
  file: byId<HTMLInputElement>("file"),
  address: byId<HTMLInputElement>("address"),
  on: byId<HTMLSelectElement>("on"),
  kept: byId("kept"),
  name: byId("name"),
  device: byId("device"),
  toggle: byId<HTMLButtonElement>("toggle-settings"),
  close: byId<HTMLButtonElement>("close"),
};

let opening: AbortController | undefined;
let client: SessionClient | undefined;
let view: ProgramView | undefined;

/** Opens a file, or what is at an address, in place of what is open. */
async function openProgram(program: File | string, device = page.on.value as Device): Promise<void> {
  closeProgram();
  const mine = new AbortController();
  opening = mine;
  const name = typeof program === "string" ? lastPart(program) : program.name;
  const cancel = button("Cancel");
  cancel.addEventListener("click", closeProgram);
  const progress = new ProgressView(`Opening ${name}`, cancel);
  progress.step("Reading what is in it");
  page.form.hidden = true;
  page.status.replaceChildren(progress.root);
  try {
    client = await SessionClient.open({
      program,
      device,
      onProgress: (done) => progress.opening(done),
      signal: mine.signal,
    });
    showProgram(client, name, typeof program === "string" ? undefined : program.size);
  } catch (error) {
    if (mine.signal.aborted) return;
    closeProgram();
    page.status.append(problemView(problemIn(error)));
    if (device === "webgpu") page.status.append(cpuInstead(program));
  }
}

function cpuInstead(program: File | string): HTMLButtonElement {
  const again = button("Run on the CPU instead");
  again.addEventListener("click", () => void openProgram(program, "cpu"));
  return again;
}

function showProgram(opened: SessionClient, name: string, size: number | undefined): void {
  view = new ProgramView(opened, { name, ...(size !== undefined && { size }) });
  page.start.hidden = true;
  page.main.append(view.root);
  page.name.textContent = name;
  page.device.textContent = opened.program.device;
  for (const shown of [page.device, page.toggle, page.close]) shown.hidden = false;
  document.title = `${name} · bitnetc chat`;
  view.focus();
}

function closeProgram(): void {
  opening?.abort();
  client?.close();
  view?.root.remove();
  client = undefined;
  view = undefined;
  page.start.hidden = false;
  page.form.hidden = false;
  page.name.textContent = "Chat";
  for (const hidden of [page.device, page.toggle, page.close]) hidden.hidden = true;
  page.status.replaceChildren();
  page.file.value = "";
  document.title = "bitnetc chat";
  void showKept();
}

const lastPart = (address: string): string =>
  address
    .replace(/[?#].*/, "")
    .split("/")
    .at(-1) || address;

acceptDrops(byId("drop"), ([first]) => {
  if (first !== undefined) void openProgram(first.file);
});
page.file.addEventListener("change", () => {
  const [first] = pickedFiles(page.file);
  if (first !== undefined) void openProgram(first.file);
});
page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (page.address.value !== "") void openProgram(page.address.value);
});
page.close.addEventListener("click", closeProgram);
page.toggle.addEventListener("click", () => {
  const isShown = view?.root.classList.toggle("with-settings") ?? false;
  page.toggle.setAttribute("aria-expanded", String(isShown));
});

/** What this site keeps on disk: the pieces of programs that were opened by address, above all. */
async function showKept(): Promise<void> {
  // Only pages of https and localhost have a storage.
  const { usage = 0 } = (await navigator.storage?.estimate()) ?? {};
  const clear = button("Clear", "quiet");
  clear.addEventListener("click", async () => {
    const { clearCache } = await import("bitnetc/runtime");
    await clearCache();
    await showKept();
  });
  const text = `This site keeps ${formatBytes(usage)} in this browser, so that what was opened by address opens at once.`;
  page.kept.replaceChildren(
    ...(usage > 0 ? [element("div", { class: "row help" }, element("span", {}, text), clear)] : []),
  );
}

const asked = new URLSearchParams(location.search).get("program");
if (asked !== null) {
  page.address.value = URL.canParse(asked, location.href) ? new URL(asked, location.href).href : asked;
  void openProgram(page.address.value);
}
void showKept();
