import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import type { NotificationStore } from "../supabase/notification-store.ts";

/**
 * Makes the endpoint of ALERT_WEBHOOK_URL what this process's settings say. The process that starts last rules, as for
 * the pools' settings. A failure is only logged, without the address, because pools work without it.
 */
export async function ensureAlertWebhook(
  notifications: Pick<NotificationStore, "setAlertWebhook">,
  { alertWebhookUrl: url, alertWebhookFormat: format }: Omit<Config["notifications"], "allowPrivate">,
  logger: Logger,
): Promise<void> {
  try {
    await notifications.setAlertWebhook(url ?? null, format ?? (isSlack(url) ? "slack" : "json"));
  } catch (error) {
    logger.warn({ err: error }, "ALERT_WEBHOOK_URL could not be registered: alerts go to the other endpoints only");
  }
}

function isSlack(url: string | undefined): boolean {
  return url !== undefined && new URL(url).hostname === "hooks.slack.com";
}
