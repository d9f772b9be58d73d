// @ts-check
/** Server-sent events. The browser's EventSource cannot send the API key. */
import { fetchResponse, receive } from "./client.js";

/**
 * Yield events as they arrive, until the service ends the stream.
 * @param {string} path
 * @param {import("./client.js").Options} [options]
 * @returns {AsyncGenerator<{event: string, data: any}>}
 */
export async function* streamEvents(path, options = {}) {
  const response = await fetchResponse("GET", path, { accept: "text/event-stream", ...options });
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    while (true) {
      const { done, value } = await receive(reader.read());
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      yield* blocks.map(parseEvent).filter((each) => each !== null);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {string} block */
function parseEvent(block) {
  const fields = new Map(block.split("\n").map((line) => /** @type {[string, string]} */ (line.split(/: ?(.*)/s, 2))));
  const data = fields.get("data");
  return data === undefined ? null : { event: fields.get("event") ?? "message", data: JSON.parse(data) };
}
