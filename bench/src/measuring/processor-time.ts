/**
 * Processor time of this process in milliseconds, its helper threads included: what something costs without what other
 * processes of the machine take meanwhile.
 */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
