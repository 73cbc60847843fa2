import { serve } from "../_entry/index.ts";
import { markTaskFailed } from "../_shared/update-task.ts";

serve("mark-task-failed", markTaskFailed);
