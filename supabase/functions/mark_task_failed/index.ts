import "../mark-task-failed/index.ts";
