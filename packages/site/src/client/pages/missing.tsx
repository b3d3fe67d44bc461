import { data } from 'react-router';
import { pageOf } from '../../server/act.ts';

export function loader({ request }: { request: Request }) {
  throw data(`Nothing is at ${pageOf(request).pathname}.`, { status: 404 });
}

export default function Missing() {
  return null;
}
