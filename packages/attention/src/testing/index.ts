export type { DeviceCase } from './cases.ts';
export { expectClose, numbers, randomArray, randomNumbers, type Tolerance, tolerances } from './close.ts';
export { deviceCases } from './suite.ts';
