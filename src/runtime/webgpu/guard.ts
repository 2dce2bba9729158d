import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../../errors.ts";

/** What was wrong first comes first: an object for which there is no memory is not valid either. */
const faults = ["out-of-memory", "validation", "internal"] as const;

/** Milliseconds that a device which refuses work is given to say that it is lost. */
const patience = 200;

/** Watches one user's work on a device, which others may use as well: after its first fault nothing else is done. */
export class DeviceGuard {
  readonly #device: GPUDevice;
  #fault: Diagnostic | undefined;
  #isClosed = false;

  constructor(device: GPUDevice) {
    this.#device = device;
    void device.lost.then(({ message }) => {
      this.#fault ??= diagnostics.deviceLost(message);
    });
  }

  /** @throws BitnetcError `device-lost`, `device-out-of-memory`, `device-validation` or `device-internal` after a fault */
  check(): void {
    if (this.#isClosed) throw new Error("the executor was disposed of");
    if (this.#fault !== undefined) throw new BitnetcError(this.#fault);
  }

  /** From now on `check` throws. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * Calls WebGPU in `work`, and hears of the errors of these calls alone.
   * @returns what `work` gives, and a promise that the calls were valid, which rejects as `check` throws
   */
  watch<T>(work: () => T): readonly [T, Promise<void>] {
    this.check();
    // the scope that is opened last is closed first
    for (const fault of faults.toReversed()) this.#device.pushErrorScope(fault);
    let result: T;
    let errors: Promise<GPUError | null>[];
    try {
      result = work();
    } finally {
      errors = faults.map(() => this.#device.popErrorScope());
      for (const error of errors) error.catch(() => {});
    }
    return [result, this.#settle(errors)];
  }

  /** As `watch`, for work that is done when its promise is. */
  async until<T>(work: () => Promise<T>): Promise<T> {
    const [result, isValid] = this.watch(work);
    try {
      return (await Promise.all([result, isValid]))[0];
    } catch (cause) {
      return this.explain(cause);
    }
  }

  /** For a promise of the device that was rejected: throws what the reason was. */
  async explain(cause: unknown): Promise<never> {
    if (!(cause instanceof BitnetcError)) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const isOver = new Promise((resolve) => {
        timer = setTimeout(resolve, patience);
      });
      await Promise.race([this.#device.lost, isOver]);
      clearTimeout(timer);
      if (cause instanceof DOMException) {
        const isInvalid = "reason" in cause && cause.reason === "validation";
        this.#fault ??= diagnostics.deviceFault(isInvalid ? "validation" : "internal", cause.message);
      }
      this.check();
    }
    throw cause;
  }

  async #settle(scopes: readonly Promise<GPUError | null>[]): Promise<void> {
    const errors = await Promise.all(scopes);
    errors.forEach((error, i) => {
      if (error !== null) this.#fault ??= diagnostics.deviceFault(faults[i]!, error.message);
    });
    this.check();
  }
}
