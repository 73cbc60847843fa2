import "../service-request/index.ts";
