import "../claim-next-task/index.ts";
