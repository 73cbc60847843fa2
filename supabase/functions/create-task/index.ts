import { serve } from "../_entry/index.ts";
import { createTask } from "../_shared/queue-functions.ts";

serve("create-task", createTask);
