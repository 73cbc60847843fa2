import { serve } from "../_entry/index.ts";
import { taskCounts } from "../_shared/queue-functions.ts";

serve("task-counts", taskCounts);
