import { data } from 'react-router';

export function loader({ request }: { request: Request }) {
  throw data(`Nothing is at ${new URL(request.url).pathname}.`, { status: 404 });
}

export default function Missing() {
  return null;
}
