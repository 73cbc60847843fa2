import { serve } from "../_entry/index.ts";
import { orchestratorWake } from "../_shared/orchestrator-wake.ts";

serve("orchestrator-wake", orchestratorWake);
