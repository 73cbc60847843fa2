import { serve } from "../_entry/index.ts";
import { getPredecessorOutput } from "../_shared/queue-functions.ts";

serve("get-predecessor-output", getPredecessorOutput);
