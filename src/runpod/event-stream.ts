import { StringDecoder } from "node:string_decoder";

/** A longer line is not kept, so that a stream without line ends fills no memory. */
const LONGEST_LINE_CHARS = 1_000_000;
/** Goes back to the server in a header. */
const SENDABLE_ID = /^[\x20-\x7e]{1,200}$/;

export interface ServerEvent {
  /** Null: the server names none, or none that can be sent back. */
  readonly id: string | null;
  readonly data: string;
}

/**
 * Reads server-sent events (`text/event-stream`). Comments and events without data are left out, and so is an event that
 * the end of the stream cuts off.
 */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  let id: string | null = null;
  let data: string[] = [];
  for await (const line of readLines(chunks)) {
    if (line === "") {
      if (data.length > 0) {
        yield { id, data: data.join("\n") };
      }
      [id, data] = [null, []];
      continue;
    }
    const [, field, value = ""] = /^([^:]*)(?:: ?([\s\S]*))?$/.exec(line) ?? [];
    if (field === "data") {
      data.push(value);
    } else if (field === "id") {
      id = SENDABLE_ID.test(value) ? value : null;
    }
  }
}

/** Complete lines only. A line may end with LF, CR LF or CR. */
async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let tooLong = false;
  for await (const chunk of chunks) {
    const lines = (rest + decoder.write(Buffer.from(chunk))).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!tooLong) {
        yield line;
      }
      tooLong = false;
    }
    if (rest.length > LONGEST_LINE_CHARS) {
      [rest, tooLong] = ["", true];
    }
  }
}
