/** As system_logs holds them, the least severe first. */
export const LOG_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Which processes log: GPU workers, or the Temporal worker; `orchestrator` is all but GPU workers. */
export const LOG_SOURCES = ["worker", "orchestrator", "orchestrator_gpu", "orchestrator_api"] as const;
export type LogSource = (typeof LOG_SOURCES)[number];
