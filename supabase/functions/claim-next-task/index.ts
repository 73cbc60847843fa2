import { serve } from "../_entry/index.ts";
import { claimNextTask } from "../_shared/queue-functions.ts";

serve("claim-next-task", claimNextTask);
