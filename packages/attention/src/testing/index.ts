export { expectClose, numbers, randomArray, randomNumbers, type Tolerance, tolerances } from './close.ts';
export { type DeviceCase, deviceCases } from './suite.ts';
