import { useActionData } from 'react-router';
import type { ActionError } from '../../server/act.ts';

/** Why a form was refused, read out at once; nothing where it was not. */
export function Refusal({ error }: { error: string | undefined }) {
  return (
    error && (
      <p role="alert" className="refusal">
        {error}
      </p>
    )
  );
}

/** Where mail goes on a server that sends none. */
export function OutboxNotice({ outbox }: { outbox: boolean }) {
  return (
    outbox && (
      <p className="notice">
        This server sends no mail. What it writes lies as a file in <code>outbox</code> of its data directory,
        and its admin reads it under Moderate → Outbox.
      </p>
    )
  );
}

/** Why the form of this intent was refused, if it was. */
export function RefusalOf({ intent }: { intent: string }) {
  const refused = useActionData<ActionError>();
  return <Refusal error={refused?.intent === intent ? refused.error : undefined} />;
}
