import type { ChatMessage, SessionInfo } from "bitnetc/runtime";
import { button, element, facts } from "./element.ts";
import { formatBytes, formatCount } from "./format.ts";
import { MeasuresView } from "./measures-view.ts";
import { problemIn, problemView } from "./problem.ts";
import { SamplingView } from "./sampling-view.ts";
import type { SessionClient } from "./session-client.ts";
import type { Request } from "./session-messages.ts";
import { TranscriptView } from "./transcript-view.ts";

interface Manner {
  readonly kind: Request["kind"];
  readonly empty: string;
  readonly label: string;
  readonly placeholder: string;
  readonly send: string;
  readonly keys: string;
}

const manners = {
  chat: {
    kind: "chat",
    empty: "Ask something.",
    label: "Message",
    placeholder: "Message",
    send: "Send",
    keys: "Enter sends, Shift+Enter begins a line, Esc stops",
  },
  text: {
    kind: "text",
    empty: "This model continues texts. Write how one begins.",
    label: "Prompt",
    placeholder: "How the text begins, or goes on",
    send: "Continue",
    keys: "Ctrl+Enter continues, Esc stops",
  },
  ids: {
    kind: "ids",
    empty: "The program holds no tokenizer. Give token ids, and it continues with token ids.",
    label: "Token ids",
    placeholder: "0, 815, 27, 200",
    send: "Continue",
    keys: "Ctrl+Enter continues, Esc stops",
  },
} as const satisfies Record<string, Manner>;

const mannerOf = ({ hasTokenizer, hasChatTemplate }: SessionInfo): Manner =>
  !hasTokenizer ? manners.ids : hasChatTemplate ? manners.chat : manners.text;

/** A program at work: what it wrote, a field for more, how fast it was, and its settings. */
export class ProgramView {
  readonly root: HTMLElement;
  readonly #client: SessionClient;
  readonly #manner: Manner;
  readonly #transcript: TranscriptView;
  readonly #measures: MeasuresView;
  readonly #sampling: SamplingView;
  readonly #system = element("textarea", { id: "system", rows: 3, placeholder: "none" });
  readonly #input: HTMLTextAreaElement;
  readonly #send: HTMLButtonElement;
  readonly #stop = button("Stop");
  readonly #fresh = button("New", "quiet");
  readonly #problem = element("div");
  #messages: ChatMessage[] = [];
  #isRunning = false;

  constructor(client: SessionClient, { name, size }: { readonly name: string; readonly size?: number }) {
    const { info, device } = client.program;
    this.#client = client;
    this.#manner = mannerOf(info);
    this.#transcript = new TranscriptView(
      this.#manner.kind,
      this.#manner.empty,
      ...(info.deviceNote === undefined ? [] : [`Runs on the CPU. ${info.deviceNote}`]),
    );
    this.#measures = new MeasuresView(info.maxSeqLen);
    this.#sampling = new SamplingView(info);
    const { label, placeholder, send, keys } = this.#manner;
    this.#input = element("textarea", { id: "prompt", rows: 3, placeholder, "aria-label": label });
    this.#send = button(send, "primary");
    this.#stop.hidden = true;
    this.#fresh.title = "Begin anew, with an empty context";
    const composer = element(
      "div",
      { class: "composer" },
      this.#input,
      element(
        "div",
        { class: "row" },
        element("span", { class: "help keys" }, keys),
        this.#fresh,
        this.#stop,
        this.#send,
      ),
    );
    const settings = element(
      "aside",
      { class: "settings", id: "settings", "aria-label": "Settings" },
      element("h2", {}, "Sampling"),
      this.#sampling.root,
      ...(this.#manner.kind === "chat"
        ? [element("h2", {}, element("label", { for: "system" }, "System prompt")), this.#system]
        : []),
      element("h2", {}, "Program"),
      facts([
        ["File", size === undefined ? name : `${name}, ${formatBytes(size)}`],
        ["Device", device],
        ...(info.deviceNote === undefined ? [] : [["Why not on the GPU", info.deviceNote] as const]),
        ["Vocabulary", info.vocabSize === undefined ? "–" : `${formatCount(info.vocabSize)} tokens`],
        ["Context", info.maxSeqLen === undefined ? "–" : `${formatCount(info.maxSeqLen)} tokens`],
        ["Key-value cache", info.hasCache ? "yes" : "no: every token recomputes the text"],
      ]),
    );
    this.root = element(
      "div",
      { class: "program" },
      element(
        "section",
        { class: "stage", "aria-label": "Conversation" },
        this.#transcript.root,
        this.#problem,
        this.#measures.root,
        composer,
      ),
      settings,
    );
    this.#send.addEventListener("click", () => void this.#submit());
    this.#stop.addEventListener("click", () => client.stop());
    this.#fresh.addEventListener("click", () => this.#startAnew());
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
  }

  focus(): void {
    // Where there is no mouse, focus brings up a keyboard that covers the text.
    if (matchMedia("(hover: hover)").matches) this.#input.focus({ preventScroll: true });
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key === "Escape" && this.#isRunning) this.#client.stop();
    // Enter also ends what an input method composes.
    if (event.key !== "Enter" || event.target !== this.#input || event.isComposing) return;
    const sends = this.#manner.kind === "chat" ? !event.shiftKey : event.ctrlKey || event.metaKey;
    if (!sends) return;
    event.preventDefault();
    void this.#submit();
  }

  async #submit(): Promise<void> {
    const given = this.#input.value;
    const sampling = this.#sampling.read();
    const request = this.#request(given);
    if (this.#isRunning || sampling === undefined || request === undefined) return;
    this.#setRunning(true);
    this.#problem.replaceChildren();
    this.#input.value = "";
    this.#measures.begin();
    const turn = this.#transcript.begin(given);
    try {
      const why = await this.#client.generate(request, sampling, (token) => {
        turn.add(token);
        this.#measures.add(token);
      });
      turn.end(why);
      if (request.kind === "chat")
        this.#messages = [...request.messages, { role: "assistant", content: turn.text }];
    } catch (error) {
      turn.root.remove();
      this.#input.value = given;
      this.#problem.replaceChildren(problemView(problemIn(error)));
    } finally {
      this.#setRunning(false);
      this.focus();
    }
  }

  /** undefined where there is nothing to continue. */
  #request(given: string): Request | undefined {
    switch (this.#manner.kind) {
      case "ids": {
        const ids = given.split(/[\s,[\]]+/).filter((word) => word !== "");
        return ids.length === 0 ? undefined : { kind: "ids", ids: ids.map(Number) };
      }
      case "chat": {
        if (given.trim() === "") return undefined;
        const system = this.#system.value.trim();
        const opening = system === "" ? [] : [{ role: "system", content: system }];
        const before = this.#messages.length === 0 ? opening : this.#messages;
        return { kind: "chat", messages: [...before, { role: "user", content: given }] };
      }
      case "text":
        return { kind: "text", text: given };
    }
  }

  #startAnew(): void {
    this.#messages = [];
    this.#client.reset();
    this.#transcript.clear();
    this.#problem.replaceChildren();
    this.#measures.begin();
    this.#measures.use(0);
    this.focus();
  }

  #setRunning(isRunning: boolean): void {
    this.#isRunning = isRunning;
    this.#send.hidden = isRunning;
    this.#stop.hidden = !isRunning;
    this.#fresh.disabled = isRunning;
    if (isRunning) this.#stop.focus({ preventScroll: true });
  }
}
