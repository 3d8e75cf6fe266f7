// The API as functions. What the server refuses is an ApiError; a server that is not there is a Gone.
import createClient from "openapi-fetch";
import type { paths } from "./schema";
import type { Api, ApiImage, ExportQuestion, Failure, Layer, Model, Spec } from "./types";

export class ApiError extends Error {
  kind: string;
  remedy: string | null;
  constructor({ kind, message, remedy }: Failure) {
    super(message);
    this.kind = kind;
    this.remedy = remedy ?? null;
  }
}

/** The server cannot be reached. */
export class Gone extends Error {}

/** What went wrong, as something that can be shown. */
export function failure(error: unknown): Failure {
  if (error instanceof ApiError) return { kind: error.kind, message: error.message, remedy: error.remedy };
  return { kind: "page", message: error instanceof Error ? error.message : String(error) };
}

export const isCancelled = (error: unknown) => error instanceof DOMException && error.name === "AbortError";

const server = createClient<paths>();

interface Reply { data?: unknown; error?: unknown; response: Response }

/** A reply that is as asked for. */
async function replied<R extends Reply>(asked: Promise<R>): Promise<R> {
  let reply: R;
  try {
    reply = await asked;
  } catch (error) {
    if (isCancelled(error)) throw error;
    throw new Gone("the server cannot be reached");
  }
  const { response, error } = reply;
  if (response.ok) return reply;
  const said = (error as { error?: Failure } | undefined)?.error;
  throw new ApiError(said ?? { kind: "http", message: `the server answered ${response.status} ${response.statusText}` });
}

/** What a reply holds. Its type is the API's, with what the schema leaves open. */
const held = async <T>(asked: Promise<Reply>) => (await replied(asked)).data as T;

/** Bytes of a file, as they are. */
const bytes = { bodySerializer: (body: unknown) => body as Blob, headers: { "Content-Type": "application/octet-stream" } };
const open = (spec: Spec) => spec as Record<string, never>;

export const api = () => held<Api>(server.GET("/api"));
export const health = () => held<{ instance: string }>(server.GET("/api/health"));
export const models = () => held<Model[]>(server.GET("/api/models"));
export const images = () => held<ApiImage[]>(server.GET("/api/images"));
export const openModel = (file: File) => held<Model>(server.POST("/api/models", { params: { query: { name: file.name } }, body: file as never, ...bytes }));
export const openImages = (file: File) => held<ApiImage[]>(server.POST("/api/images", { params: { query: { name: file.name } }, body: file as never, ...bytes }));
export const closeModel = (id: string) => replied(server.DELETE("/api/models/{id}", { params: { path: { id } } }));
export const setLabels = (id: string, file: File) => held<Model>(server.PUT("/api/models/{id}/labels", { params: { path: { id } }, body: file as never, ...bytes }));
export const layers = (id: string, spec: Spec) => held<Layer[]>(server.POST("/api/models/{id}/layers", { params: { path: { id } }, body: open(spec) }));
export const photo = (id: string, side: number) => `/api/images/${encodeURIComponent(id)}/photo?side=${side}`;
export const photoOf = (id: string, side: number) =>
  held<Blob>(server.GET("/api/images/{id}/photo", { params: { path: { id }, query: { side } }, parseAs: "blob" }));
export const preview = (model: string, image: string, spec: Spec, signal: AbortSignal) =>
  held<Blob>(server.POST("/api/previews", { body: { model, image, spec: open(spec) }, parseAs: "blob", signal }));

export async function download(body: ExportQuestion): Promise<{ blob: Blob; response: Response }> {
  const { data, response } = await replied(server.POST("/api/exports", { body, parseAs: "blob" }));
  return { blob: data as Blob, response };
}

/** What tells bit by bit how far it is. */
export type Told = "/api/explanations" | "/api/comparisons" | "/api/checks";

export async function eventsOf(path: Told, model: string, images: string[], spec: Spec, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | null> {
  const body = { model, images, spec: open(spec) };
  return held(server.POST(path, { body, parseAs: "stream", signal, headers: { Accept: "text/event-stream" } }));
}
