/** Types of the failures that workflows and activities raise: `type` of an ApplicationFailure. */
export const FAILURES = {
  /** A pool's update that cannot be read, or comes while the pool shuts down. */
  invalidMessage: "InvalidMessage",
  /** The input of a workflow that was started by hand cannot be used. */
  invalidInput: "InvalidInput",
  /** Settings that a pool cannot have. */
  invalidConfig: "InvalidConfig",
  /** A round that had to end without an observation of its pool. */
  notObserved: "NotObserved",
  /** An activity came to a process of another deployment, which did nothing. */
  foreignDeployment: "ForeignDeployment",
  /** The provider gave no readable answer, so nothing is known. */
  providerUnknown: "ProviderUnknown",
  /** The database refused the request, and would refuse it again. */
  databaseRefusal: "DatabaseRefusal",
  /** An update of a pool whose run had to end while the database did not answer; it may hold or not. */
  notWritten: "NotWritten",
  /** An order from before a reset of the pool's workflow: it is not carried out again. */
  repeated: "Repeated",
} as const;
