import "../get-predecessor-output/index.ts";
