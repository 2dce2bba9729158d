import { describe, expect, it } from "vitest";
import { renderChat } from "../../src/runtime/text/chat-template.ts";
import { fakeSession } from "../runtime/fake-model.ts";
import { bos, byteLevelTokenizer } from "./byte-level-tokenizer.ts";

const template = `{{ bos_token }}{% for message in messages %}
{% if message['role'] not in ['system', 'user', 'assistant'] %}{{ raise_exception('unknown role') }}{% endif %}
<{{ message['role'] }}>{{ message['content'] | trim }}{{ eos_token }}
{% endfor %}
{% if add_generation_prompt %}<assistant>{% endif %}`;

describe("renderChat", () => {
  it("fills in messages, special tokens and the opening of the answer", async () => {
    const messages = [
      { role: "system", content: "Be brief. " },
      { role: "user", content: "Hi" },
    ];
    expect(await renderChat(template, messages, { bos: "[B]", eos: "[E]" })).toBe(
      "[B]<system>Be brief.[E]\n<user>Hi[E]\n<assistant>",
    );
  });

  it("says what the template rejects, and faults of the template", async () => {
    const odd = [{ role: "robot", content: "" }];
    await expect(renderChat(template, odd, {})).rejects.toThrow(/error\[chat-template\].*unknown role/);
    await expect(renderChat("{% for %}", [], {})).rejects.toThrow(/error\[chat-template\]/);
  });
});

describe("a conversation as the prompt", () => {
  const texts = { tokenizer: byteLevelTokenizer(), tokenizerConfig: JSON.stringify({ bos_token: bos }) };

  it("is encoded without a second token in front", async () => {
    const { session } = fakeSession({
      facts: { texts: { ...texts, chatTemplate: "{{ bos_token }}{{ messages[0].content }}" } },
    });
    const ids = await session.encode([{ role: "user", content: "he" }]);
    expect(ids).toEqual(await session.encode("he"));
    expect(ids.filter((id) => id === 0)).toHaveLength(1);
  });

  it("needs a template", async () => {
    const { session } = fakeSession({ facts: { texts } });
    await expect(session.encode([{ role: "user", content: "he" }])).rejects.toThrow(/no-chat-template/);
  });
});
