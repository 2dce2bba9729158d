/// <reference lib="esnext.disposable" preserve="true" />
/** Runs program files. Nothing of the compiler is in here. */
export { BitnetcError, type Diagnostic, formatDiagnostic } from "../errors.ts";
export type { DType } from "../tensor/dtype.ts";
export { blobSource, bytesSource, type Source } from "../tensor/source.ts";
export { type Tensor, type TensorData, tensor } from "../tensor/tensor.ts";
export type { FinishReason, GeneratedToken, GenerateOptions } from "./generate.ts";
export { type OpenOptions, type OpenProgress, open } from "./open.ts";
export { clearCache } from "./opfs-cache.ts";
export type { Perplexity, PerplexityOptions } from "./perplexity.ts";
export type { SamplingOptions } from "./sampling.ts";
export type { KeyValueCache, Prompt, Session, SessionInfo, TensorInfo } from "./session.ts";
export type { ChatMessage } from "./text/chat-template.ts";
export type { TextStream } from "./text/text-stream.ts";
export type { Tokenizer } from "./text/tokenizer.ts";
export { type UrlSourceOptions, urlSource } from "./url-source.ts";
export type { ProfileEntry } from "./webgpu/profile.ts";
