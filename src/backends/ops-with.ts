/** The ops of a table whose arguments are exactly those of `S`. */
export type OpsWith<T, S> = {
  readonly [O in keyof T]: T[O] extends S ? (S extends T[O] ? O : never) : never;
}[keyof T];
