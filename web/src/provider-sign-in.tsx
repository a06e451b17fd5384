import { useState } from 'preact/hooks';
import { sayError } from './session/errors.ts';
import type { Provider } from './session/provider.ts';

/** The sign-in page for an external identity provider. `failure` is the reason why the last attempt failed. */
export function ProviderSignIn({
  issuer,
  provider,
  failure: before,
}: {
  issuer: string;
  provider: Provider | undefined;
  failure: string;
}) {
  const [failure, setFailure] = useState(before);
  return (
    <main class="centre">
      <div class="card sign-in">
        <img class="logo" src="/web/icon.svg" alt="" width="48" height="48" />
        <h1>Rooms</h1>
        <p class="muted">Sign in at {issuer}.</p>
        <button
          type="button"
          class="button primary"
          disabled={!provider}
          onClick={() => void provider?.signIn().catch((error: unknown) => setFailure(sayError(error)))}
        >
          Sign in
        </button>
        {failure && (
          <p class="form-error" role="alert">
            {failure}
          </p>
        )}
      </div>
    </main>
  );
}
