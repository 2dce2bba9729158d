/** Holds one open program, so that the page stays responsive whatever the program runs on. */
import { type FinishReason, open, type Session } from "bitnetc/runtime";
import { problemOf } from "./problem-of.ts";
import type { FromSession, Request, Sampling, ToSession } from "./session-messages.ts";

let session: Session | undefined;
let running: AbortController | undefined;
/** A text without turns: what was given and written so far. */
let written: { readonly text: string; readonly ids: readonly number[] } = { text: "", ids: [] };

const send = (message: FromSession): void => self.postMessage(message);

self.addEventListener("message", ({ data }: MessageEvent<ToSession>) => {
  handle(data).catch((error: unknown) => send({ type: "failed", problem: problemOf(error) }));
});

async function handle(message: ToSession): Promise<void> {
  switch (message.type) {
    case "open": {
      const { program } = message;
      session = await open(program, {
        device: message.device,
        // A file is there anyway.
        cache: typeof program === "string" ? "opfs" : "none",
        portable: async (...args) => (await import("bitnetc/runtime/portable")).openPortable(...args),
        onProgress: (progress) => send({ type: "progress", ...progress }),
      });
      send({ type: "opened", info: session.info, device: session.device });
      break;
    }
    case "generate":
      await generate(message.request, message.sampling);
      break;
    case "stop":
      running?.abort();
      break;
    case "reset":
      written = { text: "", ids: [] };
      session?.kv.reset();
  }
}

async function generate(request: Request, sampling: Sampling): Promise<void> {
  if (session === undefined) throw new Error("no program is open");
  const started = performance.now();
  running = new AbortController();
  const { signal } = running;
  const prompt = await promptOf(session, request);
  let { text } = prompt;
  const ids = [...prompt.ids];
  const ended = (why: FinishReason | "stopped") => {
    if (request.kind === "text") written = { text, ids };
    send({ type: "finished", why });
  };
  try {
    for await (const token of session.generate({ ids: prompt.ids }, { ...sampling, signal })) {
      text += token.text;
      // A token that ends the text is no part of what a later request continues.
      if (token.finish !== "stop") ids.push(token.id);
      send({
        type: "token",
        id: token.id,
        text: token.text,
        promptTokens: prompt.ids.length,
        used: ids.length,
        after: performance.now() - started,
      });
      if (token.finish !== undefined) ended(token.finish);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    ended("stopped");
  }
}

/** Text is encoded together with what is before it, so that no token boundary is forced between the two. */
async function promptOf(session: Session, request: Request): Promise<typeof written> {
  if (request.kind === "ids") return { text: "", ids: request.ids };
  if (request.kind === "chat") return { text: "", ids: await session.encode(request.messages) };
  if (request.text === "" && written.ids.length > 0) return written;
  const text = written.text + request.text;
  return { text, ids: await session.encode(text) };
}
