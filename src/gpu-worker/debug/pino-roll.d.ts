/** The package has no types of its own. */
declare module "pino-roll" {
  import type { DestinationStream } from "pino";

  interface Options {
    readonly file: string;
    readonly extension: string;
    readonly frequency: "daily" | "hourly" | number;
    readonly size: string;
    readonly mkdir: boolean;
    readonly limit: { readonly count: number; readonly removeOtherLogFiles: boolean };
    readonly sync: boolean;
  }

  export default function roll(options: Options): Promise<DestinationStream>;
}
