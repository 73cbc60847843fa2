/** What attackers know of the other tenant, and what they have of their own. */
export interface Prey {
  readonly task: string;
  readonly project: string;
  readonly worker: string;
  readonly lease: string;
  readonly user: string;
  readonly pool: string;
  /** The other tenant's file within its bucket. */
  readonly file: string;
  /** Values of the attackers' own rows, by the names of parameters. */
  readonly evil: Readonly<Record<string, string>>;
}

/** Tables, functions and their parameters as the database has them. */
export interface Catalog {
  readonly tables: Readonly<Record<string, readonly string[]>>;
  readonly functions: Readonly<Record<string, readonly string[]>>;
}
