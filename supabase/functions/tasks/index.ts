import { serve } from "../_entry/index.ts";
import { tasks } from "../_shared/tasks.ts";

serve("tasks", tasks);
