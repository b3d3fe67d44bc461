import { findRunnable } from './index.ts';
import { serveLab } from './kit/lab/engine/serve.ts';

serveLab(findRunnable);
