import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { MoreIcon } from './icons.tsx';

export interface MenuItem {
  readonly label: string;
  readonly danger?: boolean;
  readonly onChoose: () => void;
}

/** A button that opens a menu. Escape, a choice and a loss of focus close the menu. */
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
              // Closes the menu before the action runs, so that a dialog returns the focus to the menu's button.
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
