import { createPublicKey, verify } from 'node:crypto';

/** Is this the signature of these bytes by the holder of the key? False, too, for what is no key or no signature. */
export function isSignedBy(publicKey: string, bytes: Uint8Array, signature: string): boolean {
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== 64) return false;
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
    return verify(null, bytes, key, given);
  } catch {
    return false;
  }
}
