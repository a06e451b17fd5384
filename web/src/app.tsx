import { useEffect, useState } from 'preact/hooks';
import { type Config, loadConfig } from './session/config.ts';
import { sayError } from './session/errors.ts';
import { SessionProvider, startSession, type UserSession } from './session/user-session.ts';
import { rememberUser, SignIn, signedInUser } from './sign-in.tsx';
import { Blank, Spinner } from './ui/small.tsx';
import { Workspace } from './workspace.tsx';

export function App() {
  const [config, setConfig] = useState<Config>();
  const [failure, setFailure] = useState('');
  const [session, setSession] = useState<UserSession>();

  const signIn = (where: Config, userId: string): void => {
    rememberUser(userId);
    setSession(startSession(where, userId));
  };
  const signOut = (): void => {
    rememberUser(undefined);
    session?.close();
    setSession(undefined);
    location.hash = '';
  };
  useEffect(() => {
    loadConfig().then(
      (loaded) => {
        setConfig(loaded);
        const user = signedInUser();
        if (user) signIn(loaded, user);
      },
      (error: unknown) => setFailure(sayError(error)),
    );
  }, []);

  if (failure)
    return (
      <main class="centre">
        <Blank title="The local stack does not answer">
          <p>{failure} Start it with “npm start”, then load this page again.</p>
          <button type="button" class="button primary" onClick={() => location.reload()}>
            Load again
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
  if (!session) return <SignIn issuer={config.issuer} onSignIn={(userId) => signIn(config, userId)} />;
  return (
    <SessionProvider value={session}>
      <Workspace key={session.userId} onSignOut={signOut} />
    </SessionProvider>
  );
}
