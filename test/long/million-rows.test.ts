import { describePlans } from "../kit/queue-plans.ts";

describePlans({ queued: 1_000_000, ended: 100_000 });
