import { useEffect, useState } from 'preact/hooks';
import { useStore } from '../store.ts';
import { useSession } from './user-session.ts';

/** Shorter interruptions are not shown, in milliseconds. They are caused by the renewal of the access token, for example. */
const SHOWN_AFTER_MS = 700;

/** Whether to show that the connection is lost. */
export function useConnectionLost(): boolean {
  const { online } = useSession();
  const state = useStore(online);
  const [late, setLate] = useState(false);
  const lost = state === 'reconnecting' || state === 'failed' || state === 'closed';
  useEffect(() => {
    if (!lost) return setLate(false);
    const timer = setTimeout(() => setLate(true), SHOWN_AFTER_MS);
    return () => clearTimeout(timer);
  }, [lost]);
  return lost && late;
}
