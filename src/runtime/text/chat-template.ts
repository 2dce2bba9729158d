import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, messageOf } from "../../errors.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | (string & {});
  readonly content: string;
}

/**
 * Writes messages as the prompt that the model was trained on, with the opening of the assistant's turn at
 * the end. Special tokens are part of the text, so it is encoded without the tokenizer's own template.
 *
 * @param template Jinja source; the variables are those that transformers' apply_chat_template sets
 * @throws BitnetcError `chat-template` when the template has a fault or rejects the messages
 */
export async function renderChat(
  template: string,
  messages: readonly ChatMessage[],
  specialTokens: { readonly bos?: string; readonly eos?: string },
): Promise<string> {
  const { Template } = await import("@huggingface/jinja");
  try {
    return new Template(template).render({
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: true,
      bos_token: specialTokens.bos ?? "",
      eos_token: specialTokens.eos ?? "",
    });
  } catch (cause) {
    throw new BitnetcError(diagnostics.chatTemplate(messageOf(cause)), { cause });
  }
}
