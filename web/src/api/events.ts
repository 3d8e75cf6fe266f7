// Server-sent events of a POST, which EventSource cannot send.
import { ApiError, eventsOf, Gone, isCancelled, type Told } from "./client";
import type { Failure, Progress, Spec } from "./types";

/** Asks for `images` by a network and a spec; `tell` hears of progress, `take` of everything else by its name. It ends when the server says so, and throws what it says went wrong. */
export async function follow(
  path: Told,
  { model, images, spec }: { model: string; images: string[]; spec: Spec },
  signal: AbortSignal,
  tell: (progress: Progress) => void,
  take: (event: string, data: unknown) => void,
) {
  const reply = await eventsOf(path, model, images, spec, signal);
  let ended = false;
  for await (const { event, data } of events(reply)) {
    if (event === "progress") tell(data as Progress);
    else if (event === "error") throw new ApiError((data as { error?: Failure }).error ?? (data as Failure));
    else if (event === "end") ended = true;
    else take(event, data);
  }
  if (!ended) throw new Gone("the server went away before it was done");
}

async function* events(reply: ReadableStream<Uint8Array> | null): AsyncGenerator<{ event: string; data: unknown }> {
  if (!reply) return;
  const reader = reply.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  let text = "";
  while (true) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      if (isCancelled(error)) throw error;
      throw new Gone("the server went away before it was done");
    });
    if (done) return;
    text = (text + value).replaceAll("\r\n", "\n");
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) {
      const field = (name: string) =>
        part
          .split("\n")
          .filter((line) => line.startsWith(`${name}:`))
          .map((line) => line.slice(name.length + 1).replace(/^ /, ""))
          .join("\n");
      const data = field("data");
      if (data) yield { event: field("event") || "message", data: JSON.parse(data) };
    }
  }
}
