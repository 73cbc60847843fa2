import { serve } from "../_entry/index.ts";
import { serviceRequest } from "../_shared/service-request.ts";

serve("service-request", serviceRequest);
