import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import Libsql from "libsql";
import { storableText } from "../../supabase/functions/_shared/text.ts";
import { adoptTables } from "./adopt.ts";
import { type LocalDatabase, LocalDatabaseError, type Value } from "./local-database.ts";

const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens the file, with its folder, and brings its tables up to date. A file of the older worker keeps all its rows.
 * @throws LocalDatabaseError
 */
export function openLocalDatabase(path: string): LocalDatabase {
  const file = resolve(path);
  const database = guarded(file, () => {
    mkdirSync(dirname(file), { recursive: true });
    return new Libsql(file, { timeout: BUSY_TIMEOUT_MS });
  });
  const opened = databaseOf(database, file);
  try {
    guarded(file, () => {
      database.pragma("journal_mode = wal");
      database.pragma("synchronous = normal");
    });
    opened.write(() => adoptTables(opened));
  } catch (error) {
    opened.close();
    throw error;
  }
  return opened;
}

function databaseOf(database: Libsql.Database, file: string): LocalDatabase {
  const prepared = new Map<string, Libsql.Statement<Value[]>>();
  const statement = (text: string) => {
    const known = prepared.get(text) ?? database.prepare<Value[]>(text);
    prepared.set(text, known);
    return known;
  };
  return {
    file,
    all: <T>(text: string, ...values: Value[]) => guarded(file, () => statement(text).all(...storable(values)) as T[]),
    get: <T>(text: string, ...values: Value[]) =>
      guarded(file, () => statement(text).get(...storable(values)) as T | undefined),
    run: (text, ...values) => guarded(file, () => statement(text).run(...storable(values)).changes),
    write(work) {
      guarded(file, () => database.exec("begin immediate"));
      try {
        const answer = work();
        guarded(file, () => database.exec("commit"));
        return answer;
      } catch (error) {
        if (database.inTransaction) {
          database.exec("rollback");
        }
        throw error;
      }
    },
    version: () =>
      guarded(file, () => (statement("pragma data_version").get() as { data_version: number }).data_version),
    close: () => void database.close(),
  };
}

/** SQLite gives a text back up to its first NUL. */
function storable(values: readonly Value[]): Value[] {
  return values.map((value) => (typeof value === "string" ? storableText(value) : value));
}

function guarded<T>(file: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code = "", message } = error as { code?: string; message: string };
    const isBusy = /^SQLITE_(BUSY|LOCKED|FULL)/.test(code);
    throw new LocalDatabaseError(file, `${message}${code === "" ? "" : ` (${code})`}`, isBusy, error);
  }
}
