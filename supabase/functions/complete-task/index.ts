import { serve } from "../_entry/index.ts";
import { completeTask } from "../_shared/complete-task.ts";

serve("complete-task", completeTask);
