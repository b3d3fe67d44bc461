export { expectClose, numbers, randomArray, randomNumbers, type Tolerance, tolerances } from './close.ts';
