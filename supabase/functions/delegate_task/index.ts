import "../delegate-task/index.ts";
