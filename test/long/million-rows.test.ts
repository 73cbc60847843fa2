import { describePlans } from "../kit/plans-of-the-queue.ts";

describePlans({ queued: 1_000_000, ended: 100_000 });
