import "../update-task-status/index.ts";
