import "../create-task/index.ts";
