import { serve } from "../_entry/index.ts";
import { updateTaskStatus } from "../_shared/update-task.ts";

serve("update-task-status", updateTaskStatus);
