import { serve } from "../_entry/index.ts";
import { FUNCTIONS } from "../_shared/functions.ts";

serve("old-worker", FUNCTIONS["old-worker"]);
