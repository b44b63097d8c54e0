import { apiCases } from './cases/api.cases.js';
import { endCases } from './cases/end.cases.js';
import { exclusionCases } from './cases/exclusion.cases.js';
import { holdingCases } from './cases/holding.cases.js';
import { lapseCases } from './cases/lapse.cases.js';
import { namesCases } from './cases/names.cases.js';
import { orderCases } from './cases/order.cases.js';
import { reentryCases } from './cases/reentry.cases.js';
import { severalCases } from './cases/several.cases.js';
import { waitingCases } from './cases/waiting.cases.js';
import type { ContractCase } from './contract-case.js';

/** Every promise of the contract. */
export const CONTRACT_CASES: readonly ContractCase[] = [
  ...exclusionCases,
  ...waitingCases,
  ...orderCases,
  ...lapseCases,
  ...holdingCases,
  ...namesCases,
  ...apiCases,
  ...reentryCases,
  ...severalCases,
  ...endCases,
];
