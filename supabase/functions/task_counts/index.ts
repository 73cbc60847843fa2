import "../task-counts/index.ts";
