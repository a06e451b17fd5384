import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { MoreIcon } from './icons.tsx';

export interface MenuItem {
  readonly label: string;
  readonly danger?: boolean;
  readonly onChoose: () => void;
}

/** A button that unfolds a few others. Escape, choosing, and going elsewhere fold it. */
export function Menu({
  label,
  items,
  children = <MoreIcon />,
}: {
  label: string;
  items: readonly MenuItem[];
  children?: ComponentChildren;
}) {
  const details = useRef<HTMLDetailsElement>(null);
  const summary = useRef<HTMLElement>(null);
  const fold = (): void => {
    if (details.current) details.current.open = false;
  };
  return (
    <details
      ref={details}
      class="menu"
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !details.current?.open) return;
        event.stopPropagation();
        fold();
        summary.current?.focus();
      }}
      onFocusOut={({ relatedTarget }) => {
        if (!(relatedTarget instanceof Node && details.current?.contains(relatedTarget))) fold();
      }}
    >
      <summary ref={summary} class="button quiet square" aria-label={label} title={label}>
        {children}
      </summary>
      <div class="menu-items">
        {items.map((item) => (
          <button
            key={item.label}
            type="button"
            class={`menu-item ${item.danger ? 'danger' : ''}`}
            onClick={() => {
              // First: whatever opens next gives the focus back to the button that is still there.
              summary.current?.focus();
              fold();
              item.onChoose();
            }}
          >
            {item.label}
          </button>
        ))}
      </div>
    </details>
  );
}
