import { NavLink, useActionData } from 'react-router';
import type { ActionError } from '../../../server/act.ts';
import { Refusal } from '../../components/answers.tsx';

/** The pages of curators, and those of admins behind them. */
export function Tabs({ isAdmin }: { isAdmin: boolean }) {
  return (
    <>
      <nav className="tabs" aria-label="Moderation">
        <NavLink to="/admin/reports">Reports</NavLink>
        <NavLink to="/admin/claims">Claims</NavLink>
        <NavLink to="/admin/submissions">Submissions</NavLink>
        <NavLink to="/admin/accounts">Accounts</NavLink>
        <NavLink to="/admin/measurements">Measurements</NavLink>
        <NavLink to="/admin/machines">Machines</NavLink>
        <NavLink to="/admin/audit">Audit</NavLink>
        {isAdmin && <NavLink to="/admin/imports">Imports</NavLink>}
        {isAdmin && <NavLink to="/admin/outbox">Outbox</NavLink>}
        {isAdmin && <NavLink to="/admin/jobs">Jobs</NavLink>}
      </nav>
      <Refused />
    </>
  );
}

/** Why the last decision was not carried out. */
function Refused() {
  const answer = useActionData<Partial<ActionError>>();
  return <Refusal error={answer?.error} />;
}
