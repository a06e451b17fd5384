import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { sayError } from '../session/errors.ts';
import { CloseIcon } from './icons.tsx';

/**
 * Keeps the focus in a dialog: Tab moves from the last element to the first, and Shift+Tab back. Otherwise, the focus could move to the
 * browser's controls, where the dialog does not receive keys.
 */
export function keepFocus(event: KeyboardEvent & { readonly currentTarget: HTMLElement }): void {
  if (event.key !== 'Tab') return;
  const elements = [...event.currentTarget.querySelectorAll<HTMLElement>('a[href], button, input, textarea')].filter(
    (element) => element.tabIndex >= 0 && !element.matches(':disabled') && element.checkVisibility(),
  );
  const [from, to] = event.shiftKey ? [elements[0], elements.at(-1)] : [elements.at(-1), elements[0]];
  if (document.activeElement !== from) return;
  event.preventDefault();
  to?.focus();
}

/** A modal dialog with a form. Escape closes it, and the focus returns to the previous element. */
export function FormDialog({
  title,
  submit,
  danger = false,
  onSubmit,
  onClose,
  children,
}: {
  title: string;
  /** The label of the submit button. */
  submit: string;
  danger?: boolean;
  /** Submits the form. If it rejects, the dialog shows the error. Otherwise, it closes. */
  onSubmit: (data: FormData) => Promise<unknown>;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);

  async function send(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (busy || !(event.currentTarget instanceof HTMLFormElement)) return;
    setBusy(true);
    setError('');
    try {
      await onSubmit(new FormData(event.currentTarget));
      onClose();
    } catch (reason) {
      setError(sayError(reason));
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} class="dialog" aria-labelledby={heading} onClose={onClose} onKeyDown={keepFocus}>
      <form onSubmit={send}>
        <header class="dialog-header">
          <h2 id={heading} dir="auto">
            {title}
          </h2>
          <button type="button" class="button quiet square" aria-label="Close" onClick={onClose}>
            <CloseIcon />
          </button>
        </header>
        <div class="dialog-body">
          {children}
          {error && (
            <p class="form-error" role="alert">
              {error}
            </p>
          )}
        </div>
        <footer class="dialog-footer">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={`button ${danger ? 'danger' : 'primary'}`} disabled={busy}>
            {busy ? 'One moment…' : submit}
          </button>
        </footer>
      </form>
    </dialog>
  );
}

/** Returns the value of a form field, or an empty text if there is no such field. */
export function textOf(data: FormData, name: string): string {
  const value = data.get(name);
  return typeof value === 'string' ? value : '';
}
