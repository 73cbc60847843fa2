import { describePlans } from "../../kit/plans-of-the-queue.ts";

describePlans({ queued: 10_000, ended: 2_000 });
