import { viewerOf } from '../../../server/act.ts';
import { exportOf } from '../../../server/queries/users.ts';
import { services } from '../../../server/services.ts';

/** Everything that is stored of who asks, as a file. */
export async function loader({ request }: { request: Request }) {
  const { id } = await viewerOf(request);
  return new Response(JSON.stringify(await exportOf(services().database, id), null, 2), {
    headers: {
      'Content-Type': 'application/json',
      'Content-Disposition': 'attachment; filename="saccade-account.json"',
      'Cache-Control': 'private, no-store',
    },
  });
}
