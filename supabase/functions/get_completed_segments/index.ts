import "../get-completed-segments/index.ts";
