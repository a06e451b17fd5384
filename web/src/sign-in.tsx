import { useId, useRef, useState } from 'preact/hooks';
import { sayError } from './session/errors.ts';
import { tokenSource } from './session/tokens.ts';
import { textOf } from './ui/dialog.tsx';
import { Avatar } from './ui/small.tsx';

/** Suggested users. The local identity provider accepts any name. */
export const SUGGESTED_USERS = ['alice', 'bob', 'carol', 'dave'] as const;

/** Stored per tab, so that another tab can have another user. */
const KEY = 'rooms.user';
export const signedInUser = (): string | null => sessionStorage.getItem(KEY);
export function rememberUser(userId: string | undefined): void {
  if (userId === undefined) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, userId);
}

const USER_ID = '[A-Za-z0-9._:@\\|\\-]{1,128}';

export function SignIn({
  issuer,
  onSignIn,
  onFailure,
}: {
  issuer: string;
  onSignIn: (userId: string) => void;
  onFailure: () => void;
}) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState('');

  async function signIn(userId: string): Promise<void> {
    setBusy(true);
    setFailure('');
    try {
      await tokenSource(issuer, userId).get({ refresh: false });
      onSignIn(userId);
    } catch (error) {
      setFailure(`The local identity provider returned no access token: ${sayError(error)}`);
      setBusy(false);
      onFailure();
    }
  }

  return (
    <main class="centre">
      <div class="card sign-in">
        <img class="logo" src="/web/icon.svg" alt="" width="48" height="48" />
        <h1>Rooms</h1>
        <p class="muted">Chat, presence and files, served by the stack on this machine.</p>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const userId = textOf(new FormData(event.currentTarget), 'user').trim();
            if (userId && !busy) void signIn(userId);
          }}
        >
          <label for={id}>Who are you?</label>
          <div class="row">
            <input
              ref={input}
              id={id}
              name="user"
              required
              pattern={USER_ID}
              title="Letters, digits and . _ : @ | -"
              placeholder="User ID, such as alice"
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              autofocus
            />
            <button type="submit" class="button primary" disabled={busy}>
              {busy ? 'One moment…' : 'Continue'}
            </button>
          </div>
          {failure && (
            <p class="form-error" role="alert">
              {failure}
            </p>
          )}
        </form>
        <fieldset class="suggestions">
          <legend class="muted">Or sign in as:</legend>
          <div class="row wrap">
            {SUGGESTED_USERS.map((user) => (
              <button key={user} type="button" class="button chip" disabled={busy} onClick={() => void signIn(user)}>
                <Avatar id={user} name={user} />
                {user}
              </button>
            ))}
          </div>
        </fieldset>
        <p class="muted small">
          The local identity provider requires no password. To be another user at the same time, open this page in a
          second tab.
        </p>
      </div>
    </main>
  );
}
