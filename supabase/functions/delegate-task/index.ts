import { serve } from "../_entry/index.ts";
import { delegateTask } from "../_shared/queue-functions.ts";

serve("delegate-task", delegateTask);
