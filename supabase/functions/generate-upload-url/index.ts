import { serve } from "../_entry/index.ts";
import { generateUploadUrl } from "../_shared/generate-upload-url.ts";

serve("generate-upload-url", generateUploadUrl);
