import "../complete-task/index.ts";
