import "../orchestrator-wake/index.ts";
