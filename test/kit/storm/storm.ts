import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { type Claim, type ClaimedTask, leaseArgs, type Queue, type Session } from "../queue.ts";
import { ABILITIES, checkTasks, deadlocksOf, type StormLog, TYPES } from "./storm-checks.ts";

export interface StormOptions {
  readonly seed: number;
  /** GPU workers at a time; each has two clients. */
  readonly workers: number;
  /** How many calls each client makes. */
  readonly calls: number;
  /** Whether limits and pauses change meanwhile. Such changes may deadlock with claims; Postgres then ends one of both. */
  readonly limitsChange: boolean;
}

interface Projects {
  readonly free: readonly [string, string];
  /** Its limit never changes. */
  readonly limited: string;
  /** Its limit and pause change where `limitsChange`. */
  readonly changing: string;
}

type Random = (below: number) => number;

const LIMIT = 3;
const MOST_QUEUED = 60;
const NO_FILE = { p_storage_path: null, p_output_location: null, p_result: {} };

/** Numbers from 0 to below - 1, the same ones for the same seed (mulberry32). */
function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/**
 * Lets the clients of GPU workers, submitters and operators call the queue at the same time, then works off what is left,
 * and checks that no task was leased twice or lost, that all counts are right and that no place in a limit was left unused.
 * What each client does follows from the seed; how their calls interleave does not.
 */
export async function weatherStorm(queue: Queue, options: StormOptions): Promise<StormLog> {
  const pool = await queue.newPool();
  const [free, other, limited, changing] = [
    await queue.newProject(),
    await queue.newProject(),
    await queue.newProject({ max_running: LIMIT }),
    await queue.newProject(options.limitsChange ? { max_running: LIMIT } : {}),
  ];
  const projects: Projects = { free: [free, other], limited, changing };
  const log: StormLog = {
    submitted: new Set(),
    deleted: new Set(),
    leases: new Map(),
    completed: new Map(),
    counts: new Map(),
    deadlocks: 0,
  };
  const before = await deadlocksOf(queue);
  const storm = new Storm(queue, pool, projects, log, options);
  await storm.rage();
  await storm.calm();
  await checkTasks(queue, pool, log);
  if (!options.limitsChange) {
    expect({ seen: log.deadlocks, counted: (await deadlocksOf(queue)) - before }).toEqual({ seen: 0, counted: 0 });
  }
  return log;
}

class Storm {
  readonly #queue: Queue;
  readonly #pool: string;
  readonly #projects: Projects;
  readonly #log: StormLog;
  readonly #options: StormOptions;
  readonly #workers: string[] = [];
  readonly #able = new Map<string, readonly string[] | null>();
  #raging = true;

  constructor(queue: Queue, pool: string, projects: Projects, log: StormLog, options: StormOptions) {
    this.#queue = queue;
    this.#pool = pool;
    this.#projects = projects;
    this.#log = log;
    this.#options = options;
  }

  async rage(): Promise<void> {
    const { seed, workers, calls, limitsChange } = this.#options;
    const first = Array.from({ length: workers }, (_, place) => this.#newWorker(place));
    this.#workers.push(...(await Promise.all(first)));
    await this.#asClient(seed, (session, random) => this.#submit(session, random, MOST_QUEUED));
    const clients = this.#workers.flatMap((_, place) =>
      [0, 1].map((client) =>
        this.#asClient(seed + 100 * place + client + 1, async (session, random) => {
          for (let call = 0; call < calls; call += 1) {
            await this.#work(session, random, place);
          }
        }),
      ),
    );
    const untilOver = (offset: number, act: (session: Session, random: Random) => Promise<unknown>) =>
      this.#asClient(seed - offset, async (session, random) => {
        while (this.#raging) {
          await act(session, random);
          await pause(random(4));
        }
      });
    const others = [
      untilOver(1, (session, random) => this.#submit(session, random, MOST_QUEUED)),
      untilOver(2, (session, random) => this.#interfere(session, random)),
      untilOver(3, (session, random) => this.#replaceWorker(session, random)),
      untilOver(4, () => this.#checkLimit()),
      ...(limitsChange ? [untilOver(5, (session, random) => this.#changeLimits(session, random))] : []),
    ];
    await Promise.all([Promise.all(clients).finally(() => (this.#raging = false)), ...others]);
  }

  async #asClient(seed: number, act: (session: Session, random: Random) => Promise<unknown>): Promise<void> {
    const session = await this.#queue.session();
    try {
      await act(session, seeded(seed));
    } finally {
      await session.end();
    }
  }

  /** Calls once. @returns null where Postgres ended a deadlock, or refused a change that is no longer possible. */
  async #try<T>(name: string, call: () => Promise<T>): Promise<T | null> {
    const counts = this.#log.counts;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    try {
      return await call();
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "40P01") {
        this.#log.deadlocks += 1;
        return null;
      }
      if (code === "PT409" || code === "PT404") {
        return null;
      }
      throw error;
    }
  }

  async #work(session: Session, random: Random, place: number): Promise<void> {
    const worker = this.#workers[place]!;
    if (this.#able.get(worker) !== null && random(20) === 0) {
      // As at a restart: a task that it holds and can no longer do is handed back by its next claim.
      const types = this.#able.get(worker)!.slice(random(3) % 2);
      await this.#try("worker_can_do", () => session.rows("select worker_can_do($1, $2)", [worker, types]));
    }
    const claim = await this.#try("claim_task", () => session.call<Claim>("claim_task", { p_worker_id: worker }));
    let lease = this.#noteLease(worker, claim);
    while (lease !== null) {
      lease = await this.#workOn(session, random, worker, lease);
    }
  }

  /** One call about a task. @returns the lease with which to go on; null: claim anew. */
  async #workOn(session: Session, random: Random, worker: string, lease: ClaimedTask): Promise<ClaimedTask | null> {
    const of = leaseArgs(lease);
    const call = <T>(name: string, args: object) => this.#try(name, () => session.call<T>(name, { ...of, ...args }));
    const choice = random(100);
    if (choice < 15) {
      const answer = await call<{ held: boolean }>("report_progress", { p_progress: random(100) / 100 });
      return answer?.held ? lease : null;
    }
    if (choice < 50) {
      const both = await call<Claim & { outcome: string }>("finish_and_claim", NO_FILE);
      this.#noteEnd(lease, both?.outcome);
      return random(3) > 0 ? this.#noteLease(worker, both) : null;
    }
    if (choice < 82) {
      this.#noteEnd(lease, (await call<{ outcome: string }>("finish_task", NO_FILE))?.outcome);
    } else if (choice < 92) {
      await call("fail_task", { p_error: "the storm", p_permanent: random(4) === 0 });
    } else {
      await call("release_task", { p_reason: "the storm" });
    }
    return null;
  }

  #noteEnd({ task_id: id }: ClaimedTask, outcome: string | undefined): void {
    if (outcome === "completed") {
      this.#log.completed.set(id, (this.#log.completed.get(id) ?? 0) + 1);
    }
  }

  #noteLease(worker: string, claim: Claim | null): ClaimedTask | null {
    if (!claim?.task) {
      return null;
    }
    const { task_id: id, attempt, task_type: type } = claim.task;
    expect(this.#able.get(worker) ?? [type]).toContain(type);
    const key = `${id} ${attempt}`;
    const holder = this.#log.leases.get(key) ?? worker;
    expect({ lease: key, worker: holder }).toEqual({ lease: key, worker });
    this.#log.leases.set(key, worker);
    return claim.task;
  }

  /** Inserts tasks of several projects; a few wait for an earlier one. Keeps the queue short. */
  async #submit(session: Session, random: Random, most: number): Promise<void> {
    const queued = "select count(*)::int as n from tasks where pool = $1 and status = 'Queued'";
    const [{ n } = { n: 0 }] = await session.rows<{ n: number }>(queued, [this.#pool]);
    const count = Math.min(most - n, 1 + random(12));
    if (count <= 0) {
      return;
    }
    const { free, limited, changing } = this.#projects;
    const all = [...free, limited, changing];
    const known = [...this.#log.submitted].slice(-40);
    // A statement whose rows wait for two tasks, one of which waits for the other, may deadlock with the end of that other one.
    const earlier = known.length > 0 ? known[random(known.length)]! : null;
    const rows = Array.from({ length: count }, () => ({
      project: all[random(all.length)]!,
      awaited: random(5) === 0 ? earlier : null,
      priority: random(8) === 0 ? 1 : 0,
      type: TYPES[random(TYPES.length)]!,
    }));
    await this.#insert(session, rows);
  }

  async #insert(session: Session, rows: readonly object[]): Promise<void> {
    const added = await this.#try("insert", () =>
      session
        .rows<{ id: string }>(
          `insert into tasks (task_type, pool, project_id, dependant_on, priority)
         select r.type, $1, r.project, (select id from tasks where id = r.awaited), r.priority
         from jsonb_to_recordset($2) as r (project uuid, awaited uuid, priority integer, type text) returning id`,
          [this.#pool, JSON.stringify(rows)],
        )
        .catch((error: { code?: string }) => {
          // Its awaited task was deleted meanwhile.
          if (error.code === "23503") {
            return [];
          }
          throw error;
        }),
    );
    for (const { id } of added ?? []) {
      this.#log.submitted.add(id);
    }
  }

  /** Cancels, deletes, changes or reopens some task. */
  async #interfere(session: Session, random: Random): Promise<void> {
    const known = [...this.#log.submitted].slice(-60);
    const id = known[random(known.length)]!;
    const choice = random(10);
    if (choice < 4) {
      const cancel = "update tasks set status = 'Cancelled' where id = $1 and status in ('Queued', 'In Progress')";
      await this.#try("cancel", () => session.rows(cancel, [id]));
    } else if (choice < 7) {
      const gone = await this.#try("delete", () => session.rows("delete from tasks where id = $1 returning id", [id]));
      if (gone?.length === 1) {
        this.#log.deleted.add(id);
      }
    } else if (choice < 9) {
      await this.#try("retry_task", () => session.call("retry_task", { p_id: id, p_reason: "the storm" }));
    } else {
      const prefer = "update tasks set priority = $2 where id = $1 and status = 'Queued'";
      await this.#try("priority", () => session.rows(prefer, [id, random(3)]));
    }
  }

  /** Ends one worker by a drain or a verdict, and puts a new one in its place. */
  async #replaceWorker(session: Session, random: Random): Promise<void> {
    await pause(5);
    const place = random(this.#workers.length);
    const worker = this.#workers[place]!;
    const args = { p_worker_id: worker, p_reason: "the storm" };
    const choice = random(3);
    if (choice === 0) {
      const cause = ["worker_died", "stuck", "host_lost"][random(3)];
      await this.#try("fail_worker", () => session.call("fail_worker", { ...args, p_lease_cause: cause }));
    } else {
      await this.#try("drain_worker", () => session.call("drain_worker", { ...args, p_only_idle: choice === 1 }));
      await this.#try("expel_worker", () => session.call("expel_worker", args));
    }
    this.#workers[place] = await this.#newWorker(place);
  }

  /** Of each three workers, one can do everything, one two types and one a third type. */
  async #newWorker(place: number): Promise<string> {
    const types = ABILITIES[place % ABILITIES.length]!;
    const worker = await this.#queue.newWorker(this.#pool, types === null ? {} : { task_types: types });
    this.#able.set(worker, types);
    return worker;
  }

  async #changeLimits(session: Session, random: Random): Promise<void> {
    await pause(15);
    const change =
      random(3) === 0 ? "paused = not paused" : `max_running = ${random(3) === 0 ? "null" : 1 + random(5)}`;
    await this.#try("limits", () =>
      session.rows(`update projects set ${change} where id = $1`, [this.#projects.changing]),
    );
  }

  async #checkLimit(): Promise<void> {
    const [{ n } = { n: 0 }] = await this.#queue.rows<{ n: number }>(
      `select count(*)::int as n from tasks where project_id = $1
         and (status = 'In Progress' and delegated_at is null or status = 'Queued' and gate = 'open')`,
      [this.#projects.limited],
    );
    expect(n).toBeLessThanOrEqual(LIMIT);
  }

  /** Completes all that is left, by one worker after the other. Fails if a task that could run is not given out. */
  async calm(): Promise<void> {
    const { changing } = this.#projects;
    await this.#queue.rows("update projects set paused = false where id = $1", [changing]);
    // Also workers that were replaced may still hold a task: one of their clients claimed it and left.
    const workers = await this.#queue.rows<{ id: string }>("select id from workers where pool = $1", [this.#pool]);
    for (const { id } of workers) {
      await this.#queue.call("fail_worker", { p_worker_id: id, p_lease_cause: "host_lost", p_reason: "calm" });
      await this.#queue.call("expel_worker", { p_worker_id: id, p_reason: "calm" });
    }
    await this.#queue.rows("update tasks set delayed_until = now() where pool = $1 and gate = 'delayed'", [this.#pool]);
    const worker = await this.#queue.newWorker(this.#pool);
    let { task } = await this.#queue.claim(worker);
    while (task !== null) {
      const both: Claim & { outcome: string } = await this.#queue.call("finish_and_claim", {
        ...leaseArgs(task),
        ...NO_FILE,
      });
      this.#noteEnd(task, both.outcome);
      await this.#checkLimit();
      task = both.task ?? (await this.#queue.claim(worker)).task;
    }
    const left = await this.#queue.rows(
      `select t.id, t.status, t.gate, t.project_id, t.delayed_until, t.delegated_at, t.worker_id, on_it.status as awaited,
         (select count(*)::int from task_attempts where task_id = t.id and ended_at is null) as open
       from tasks t left join tasks on_it on on_it.id = t.dependant_on
       where t.pool = $1 and t.status in ('Queued', 'In Progress')`,
      [this.#pool],
    );
    expect({ left, projects: this.#projects }).toEqual({ left: [], projects: this.#projects });
  }
}
