import { describePlans } from "../../kit/queue-plans.ts";

describePlans({ queued: 10_000, ended: 2_000 });
