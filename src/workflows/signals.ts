import type { WorkflowInterceptors } from "@temporalio/workflow";
import { payloadConverter } from "./payload-converter.ts";

type Receive = (name: string, payload: unknown) => void;

// The sandbox gives each workflow its own copy of this module.
const early: Parameters<Receive>[] = [];
let receive: Receive = (...signal) => void early.push(signal);

/** Gives the workflow all its signals in the order of arrival, those first that came before this call. */
export function receiveSignals(receiver: Receive): void {
  receive = receiver;
  for (const [name, payload] of early.splice(0)) {
    receiver(name, payload);
  }
}

/**
 * Takes signals out of an activation before the SDK handles them. All signals that came while no Temporal worker ran are
 * in one activation. The SDK makes half a dozen promises for each and notes the stack of each promise, which takes more
 * than the sandbox's five seconds for some thousand signals; Node then aborts the process. It also fails the activation
 * for a signal whose name begins with __temporal_, again at each attempt.
 */
export function interceptors(): WorkflowInterceptors {
  return {
    internals: [
      {
        activate(input, next) {
          const jobs = input.activation.jobs ?? [];
          for (const { signalWorkflow } of jobs) {
            if (signalWorkflow !== null && signalWorkflow !== undefined) {
              const [payload] = signalWorkflow.input ?? [];
              const value = payload === undefined ? undefined : payloadConverter.fromPayload(payload);
              receive(signalWorkflow.signalName ?? "", value);
            }
          }
          input.activation.jobs = jobs.filter(({ signalWorkflow }) => !signalWorkflow);
          next(input);
        },
      },
    ],
  };
}
