import { serve } from "../_entry/index.ts";
import { getCompletedSegments } from "../_shared/queue-functions.ts";

serve("get-completed-segments", getCompletedSegments);
