import "../generate-upload-url/index.ts";
