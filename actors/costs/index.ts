/** Public names of the cost reports. */
export { costMicros, COST_MICROS_MAX, type MoreDecimals } from './amount.ts';
export { isCostColumn } from './columns.ts';
export { COST_CODES, isCurrency, type CostCode } from './judge.ts';
export { CostReportError, REPORT_CODES, judgeCostRecords, readCosts, type CostFormat, type CostReport, type ReadCostsOptions, type RejectedLine } from './read.ts';
