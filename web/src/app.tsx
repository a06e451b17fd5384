import { useEffect, useRef, useState } from 'preact/hooks';
import { RoomsProvider } from '../../client/src/react/index.ts';
import { ProviderSignIn } from './provider-sign-in.tsx';
import { type Config, isSameConfig, loadConfig } from './session/config.ts';
import { sayError } from './session/errors.ts';
import { openProvider, type Provider, type ProviderUser } from './session/provider.ts';
import { SessionProvider, startSession, type UserSession } from './session/user-session.ts';
import { rememberUser, SignIn, signedInUser } from './sign-in.tsx';
import { Blank, Spinner } from './ui/small.tsx';
import { Workspace } from './workspace.tsx';

/** Interval between requests for the stack's addresses until it responds, in milliseconds. */
const RETRY_MS = 2_000;

export function App() {
  const [config, setConfig] = useState<Config>();
  const [failed, setFailed] = useState(false);
  const [session, setSession] = useState<UserSession>();
  const [provider, setProvider] = useState<Provider>();
  const [providerFailure, setProviderFailure] = useState('');
  const providerUser = useRef<ProviderUser | undefined>(undefined);

  const signIn = (where: Config, userId: string): void => {
    rememberUser(userId);
    setSession(startSession(where, userId));
  };
  const signInAtProvider = async (where: Config, clientId: string): Promise<void> => {
    try {
      const opened = await openProvider(where.issuer, clientId);
      const user = await opened.user();
      providerUser.current = user;
      if (user) setSession(startSession(where, user.userId, user.tokens));
      setProvider(opened);
    } catch (error) {
      setProviderFailure(sayError(error));
      setProvider(await openProvider(where.issuer, clientId).catch(() => undefined));
    }
  };
  const signOut = (): void => {
    rememberUser(undefined);
    session?.close();
    void providerUser.current?.signOut().catch((error: unknown) => setProviderFailure(sayError(error)));
    setSession(undefined);
    location.hash = '';
  };
  const loading = useRef(false);
  const load = async (): Promise<void> => {
    if (loading.current) return;
    loading.current = true;
    try {
      const loaded = await loadConfig();
      if (loaded.clientId !== undefined) await signInAtProvider(loaded, loaded.clientId);
      setConfig(loaded);
      if (loaded.clientId !== undefined) return;
      const user = signedInUser();
      if (user) signIn(loaded, user);
    } catch (error) {
      console.info('The configuration could not be loaded.', error);
      setFailed(true);
    } finally {
      loading.current = false;
    }
  };
  useEffect(() => void load(), []);
  useEffect(() => {
    if (!failed || config) return;
    const timer = setInterval(() => void load(), RETRY_MS);
    return () => clearInterval(timer);
  }, [failed, config]);
  /** Reloads the page if the addresses of the stack have changed. The Content Security Policy allows only the addresses from the last load. */
  const reloadIfMoved = (): void => {
    loadConfig().then(
      (now) => {
        if (config && !isSameConfig(now, config)) location.reload();
      },
      () => {},
    );
  };

  if (failed && !config)
    return (
      <main class="centre">
        <Blank title="The local stack does not respond">
          <p>Start it with “npm start”. This page then opens automatically.</p>
          <button type="button" class="button primary" onClick={() => void load()}>
            Retry now
          </button>
        </Blank>
      </main>
    );
  if (!config)
    return (
      <main class="centre">
        <Spinner label="Loading" />
      </main>
    );
  if (!session && config.clientId !== undefined)
    return <ProviderSignIn issuer={config.issuer} provider={provider} failure={providerFailure} />;
  if (!session)
    return <SignIn issuer={config.issuer} onSignIn={(userId) => signIn(config, userId)} onFailure={reloadIfMoved} />;
  return (
    <SessionProvider value={session}>
      <RoomsProvider client={session.client}>
        <Workspace key={session.userId} onSignOut={signOut} />
      </RoomsProvider>
    </SessionProvider>
  );
}
