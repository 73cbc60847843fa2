import type { Queue } from "../../../src/gpu-worker/queue/queue.ts";

export interface NewTask {
  readonly type?: string;
  readonly params?: object;
  readonly priority?: number;
  readonly project?: string;
  readonly dependsOn?: string;
}

export interface TaskFacts {
  readonly status: string;
  readonly attempts: number;
  readonly worker: string | null;
  readonly error: string | null;
  readonly output: string | null;
  readonly result: unknown;
}

export interface TestWorker {
  readonly id: string;
  readonly queue: Queue;
}

/** A queue of its own for one test, with what happens beside its workers. */
export interface QueueWorld {
  /** One that has sent its first heartbeat. */
  newWorker(): Promise<TestWorker>;
  newProject(): Promise<string>;
  add(task?: NewTask): Promise<string>;
  task(id: string): Promise<TaskFacts>;
  /** How its ended attempts ended, the oldest first. */
  causes(id: string): Promise<string[]>;
  subTasks(id: string): Promise<{ id: string; type: string; params: unknown; dependsOn: string | null }[]>;
  /** Its process ends without a word, which is noticed. */
  dies(worker: TestWorker): Promise<void>;
  /** Seconds until a delayed task may be claimed; null: it is not delayed. */
  delaySec(id: string): Promise<number | null>;
  endDelay(id: string): Promise<void>;
  /** As an operator does it. */
  cancel(id: string): Promise<void>;
  /** As an operator does it; an outcome of `retry_task`. */
  retry(id: string): Promise<{ outcome: string; status: string | null; because: string | null; reopened: number }>;
}

export interface QueueKind {
  readonly name: string;
  newWorld(): Promise<QueueWorld>;
  close(): Promise<void>;
}
