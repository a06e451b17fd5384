import { useEffect, useState } from 'preact/hooks';
import { useStore } from '../store.ts';
import { useSession } from './user-session.ts';

/** Shorter losses, as when the access token is renewed, are not shown, in milliseconds. */
const SHOWN_AFTER_MS = 700;

/** True while the connection is lost, as far as users should know. */
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
