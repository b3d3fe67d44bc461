import { useEffect, useState } from 'react';
import type { Subscription } from '../../../shared/subscription.ts';

const hours = [...Array(24).keys()];

/** How often, at which hour, in which zone. A new subscription takes the zone of its reader's browser. */
export function SubscriptionFields({ of, isNew }: { of: Subscription; isNew: boolean }) {
  const [zone, setZone] = useState(of.zone);
  useEffect(() => {
    if (isNew) setZone(Intl.DateTimeFormat().resolvedOptions().timeZone || of.zone);
  }, [isNew, of.zone]);
  return (
    <>
      <label>
        How often
        <select name="cadence" defaultValue={of.cadence}>
          <option value="daily">each day that has papers</option>
          <option value="weekly">Mondays, the week’s papers</option>
        </select>
      </label>
      <label>
        From which hour on
        <select name="hour" defaultValue={of.hour}>
          {hours.map((hour) => (
            <option key={hour} value={hour}>
              {String(hour).padStart(2, '0')}:00
            </option>
          ))}
        </select>
      </label>
      <label>
        Time zone
        <input
          name="zone"
          value={zone}
          onChange={({ target }) => setZone(target.value)}
          required
          maxLength={60}
          autoComplete="off"
          spellCheck={false}
        />
      </label>
    </>
  );
}
