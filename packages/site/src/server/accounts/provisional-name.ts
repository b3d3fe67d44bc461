import { randomBytes } from 'node:crypto';

/** A name that says nothing of the address; its owner chooses another on the account page. */
export const provisionalName = () => `reader-${randomBytes(4).toString('hex')}`;
